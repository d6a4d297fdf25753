import { html } from "./vendor/ui.js";
import { Act, Empty, Head, Loaded, rows, Time, useLoad } from "./parts.js";
import { RunView } from "./run_view.js";
import { SchemaForm } from "./schema_form.js";
import { WorkflowGraph } from "./workflow_graph.js";

const TONE = {
  completed: "good",
  failed: "bad",
  waiting: "warn",
  running: "accent",
  pending: "accent",
  cancelled: "",
};

/** All workflows, one of them, or one of its runs, as the path says. */
export function Workflows({ supabase, mira, path: [workflowId, runId] }) {
  if (runId) {
    return html`
      <${RunView} key=${runId} supabase=${supabase} mira=${mira} workflowId=${workflowId}
        runId=${runId} />
    `;
  }
  if (workflowId) {
    return html`<${Workflow} key=${workflowId} supabase=${supabase} mira=${mira} id=${workflowId} />`;
  }
  return html`<${List} supabase=${supabase} />`;
}

function List({ supabase }) {
  const workflows = useLoad(
    () =>
      rows(
        supabase.from("mira_workflows").select(
          "id, name, description, version, is_active, metadata, updated_at, mira_workflow_nodes(count)",
        ).order("updated_at", { ascending: false }),
      ),
    [],
  );
  return html`
    <${Head} title="Workflows"
      lead="Graphs that run durably: a step that is done stays done, whatever restarts." />
    <${Loaded} of=${workflows} empty=${html`
      <${Empty} title="No workflow yet">
        <p>Use your app for a while: what you do again and again shows up under Learned, and one press makes a draft of it here.</p>
        <a class="button" href="#/learned">See what was learned</a>
        <//>
    `}>${(list) =>
      html`
        <ul class="card list">${list.map((one) =>
          html`
            <li key=${one.id} class="row spread">
              <div class="stack" style="gap:0.1rem">
                <a href="#/workflows/${one.id}"><b>${one.name}</b></a>
                <span class="small muted">${one.description ?? ""}</span>
              </div>
              <div class="row small muted">
                <span>${one.mira_workflow_nodes[0]?.count ?? 0} steps</span>
                <span class="badge ${one.is_active ? "good" : ""}">${one.is_active
                  ? `active, version ${one.version}`
                  : "draft"}</span>
                <${Time} at=${one.updated_at} />
              </div>
            </li>
          `
        )}</ul>
      `}<//>
  `;
}

/** Reads a workflow and its graph in one request. */
export async function readWorkflow(supabase, id) {
  const found = await rows(
    supabase.from("mira_workflows").select("*, mira_workflow_nodes(*), mira_workflow_edges(*)").eq(
      "id",
      id,
    ).maybeSingle(),
  );
  if (!found) throw new Error("There is no such workflow of yours.");
  return {
    ...found,
    nodes: found.mira_workflow_nodes,
    edges: found.mira_workflow_edges.map((edge) => ({
      id: edge.id,
      source: edge.source_node_id,
      target: edge.target_node_id,
      label: edge.condition_label,
    })),
  };
}

function Workflow({ supabase, mira, id }) {
  const workflow = useLoad(() => readWorkflow(supabase, id), [id]);
  const runs = useLoad(
    () =>
      rows(
        supabase.from("workflow_history").select(
          "id, status, started_at, duration_ms, created_at, error_message",
        ).eq("workflow_id", id).order("created_at", { ascending: false }).limit(20),
      ),
    [id],
    4000,
  );
  const activate = async (isActive) => {
    await rows(
      supabase.from("mira_workflows").update({ is_active: isActive }).eq("id", id).select("id"),
    );
    workflow.reload();
  };
  const start = async (input) => {
    const runId = await mira.run({ workflow_id: id, input }).id;
    location.hash = `/workflows/${id}/${runId}`;
  };
  return html`<${Loaded} of=${workflow}>${(one) =>
    html`
      <p class="small"><a href="#/workflows">← All workflows</a></p>
      <${Head} title=${one.name} lead=${one.description}>
          <span class="badge ${one.is_active ? "good" : ""}">${one.is_active
            ? `active, version ${one.version}`
            : "draft"}</span>
          ${one.is_active
            ? html`<${Act} class="quiet" run=${() => activate(false)}>Deactivate<//>`
            : html`<${Act} class="primary" run=${() => activate(true)}>Activate<//>`}
        <//>
        ${one.metadata.dry_run && html`<${DryRun} ...${one.metadata.dry_run} />`}
      <${WorkflowGraph} nodes=${one.nodes} edges=${one.edges} />
        <div class="columns">
          <section class="card stack">
            <h2>Run it</h2>
            ${one.is_active
              ? html`<${SchemaForm} schema=${
                one.input_schema ?? { title: "Input, as JSON" }
              } initial=${
                one.input_schema ? undefined : {}
              } action="Start a run" onValue=${start} />`
              : html`<p class="muted">A draft does not run. Activating it checks the graph and freezes a version.</p>`}
          </section>
          <section class="card stack">
            <h2>Runs</h2>
            <${Loaded} of=${runs} empty=${html`<p class="muted">It has not run yet.</p>`}>${(
              list,
            ) =>
              html`
                <ul class="list">${list.map((run) =>
                  html`
                    <li key=${run.id} class="row spread">
                      <a href="#/workflows/${id}/${run.id}"><${Time} at=${run.created_at} /></a>
                      <span class="clip small muted" title=${run.error_message ??
                        ""}>${run.error_message ?? ""}</span>
                      <span class="row small">${run.duration_ms != null &&
                        html`<span class="muted">${run.duration_ms} ms</span>`}<span class="badge ${TONE[
                          run.status
                        ]}">${run.status}</span></span>
                    </li>
                  `
                )}</ul>
              `}<//>
          </section>
        </div>
    `}<//>`;
}

/** How a draft made of a habit did on visits that were not used to make it. */
function DryRun({ sessions, steps, reproduced }) {
  if (!sessions) return null;
  return html`
    <p
      class="small muted">Tried on ${sessions} visits it was not made from: ${reproduced} of ${steps} steps came out the same.</p>
  `;
}
