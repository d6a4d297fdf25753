import { html, useEffect, useMemo, useRef, useState } from "./vendor/ui.js";
import { LogLines } from "./log.js";
import { Act, Fault, Head, Json, Loaded, Time, useLoad } from "./parts.js";
import { SchemaForm } from "./schema_form.js";
import { WorkflowGraph } from "./workflow_graph.js";
import { readWorkflow } from "./workflows.js";

const TONE = {
  completed: "good",
  failed: "bad",
  waiting: "warn",
  running: "accent",
  pending: "accent",
  cancelled: "",
};
const ENDED = ["completed", "failed", "cancelled"];

/** One run as it happens: the graph lights up, questions are answered here, the log goes along. */
export function RunView({ supabase, mira, workflowId, runId }) {
  const workflow = useLoad(() => readWorkflow(supabase, workflowId), [workflowId]);
  const run = useLoad(() => mira.runs.get(runId), [runId]);
  const [events, setEvents] = useState([]);
  const [tokens, setTokens] = useState({});
  const [error, setError] = useState(null);
  const reload = useRef(run.reload);
  useEffect(() => {
    const stop = new AbortController();
    (async () => {
      try {
        for await (const event of mira.runs.follow(runId, { signal: stop.signal })) {
          if (event.event === "token") {
            setTokens((before) => ({
              ...before,
              [event.data.seq]: (before[event.data.seq] ?? "") + event.data.text,
            }));
          } else setEvents((before) => [...before, event]);
          if (event.event === "waiting" || event.event === "end") reload.current();
        }
      } catch (fault) {
        if (!stop.signal.aborted) setError(fault);
      }
    })();
    return () => stop.abort();
  }, [runId]);
  const { status, firstSeen } = useMemo(() => lights(events, workflow.value), [
    events,
    workflow.value,
  ]);
  const ending = events.findLast((event) => event.event === "end")?.data;
  const now = ending?.status ?? run.value?.status ?? "pending";
  const questions = ending ? [] : (run.value?.waiting ?? []).filter((one) => one.kind === "human");
  const answer = (seq) => async (value) => {
    await mira.runs.resume(runId, value, seq);
    await run.reload();
  };
  return html`
    <p class="small"><a href="#/workflows/${workflowId}">← ${workflow.value?.name ??
      "Workflow"}</a></p>
    <${Head} title="Run">
      <span class="badge ${TONE[now]}" data-run-status=${now}>${now}</span>
      ${!ENDED.includes(now) &&
        html`<${Act} class="quiet danger" run=${() =>
          mira.runs.cancel(runId, "cancelled in the console")}>Cancel<//>`}
    <//>
    ${error && html`<${Fault} error=${error} />`}
    <${Loaded} of=${workflow}>${(one) =>
      html`<${WorkflowGraph} nodes=${one.nodes} edges=${one.edges} status=${status} firstSeen=${firstSeen} />`}<//>
    ${questions.map((one) =>
      html`<section key=${one.seq} class="card ask stack" aria-live="polite">
      <h2>${one.node} waits for you</h2>
      ${
        one.prompt &&
        html`<p>${
          typeof one.prompt === "string" ? one.prompt : html`<${Json} value=${one.prompt} />`
        }</p>`
      }
      ${one.confirm && html`<${Json} value=${one.confirm.arguments} />`}
      <${SchemaForm} schema=${one.schema} action="Answer" onValue=${answer(one.seq)} />
    </section>`
    )}
    <div class="columns">
      <section class="card stack"><h2>Steps</h2><${Steps} events=${events} tokens=${tokens} /></section>
      <section class="card stack"><h2>Log</h2><${LogLines} mira=${mira} taskId=${runId} /></section>
    </div>
    ${ending && html`
      <section class="card stack">
        <h2>${ending.error ? "Why it ended" : "Output"}</h2>
        <${Json} value=${ending.error ?? ending.output ?? null} />
      </section>
    `}
    <${Loaded} of=${run}>${(view) =>
      html`
        <details class="card">
          <summary>State, input and spend</summary>
          <${Json} value=${{ input: view.input, state: view.state, usage: view.usage }} />
        </details>
      `}<//>
  `;
}

function Steps({ events, tokens }) {
  const steps = events.filter((event) =>
    ["step", "call", "waiting", "retry"].includes(event.event)
  );
  if (steps.length === 0) return html`<p class="muted">Nothing has happened yet.</p>`;
  return html`<ol class="list">${
    steps.map(({ event, data }) =>
      html`
        <li key=${data.event}>
          <details>
              <summary><span class="row" style="display:inline-flex">
                <b style="color:var(--text)">${data.node}</b>
                <span class="badge ${data.error
                  ? "bad"
                  : event === "waiting"
                  ? "warn"
                  : event === "call"
                  ? ""
                  : "good"}">${event === "step"
                  ? (data.error ? "failed" : "done")
                  : event === "call"
                  ? `${data.call?.kind} ${data.call?.name}`
                  : event}</span>
                ${data.duration_ms != null && html`<span>${data.duration_ms} ms</span>`}
                <${Time} at=${data.at} />
              </span></summary>
              ${tokens[data.seq] && html`<p>${tokens[data.seq]}</p>`}
              <${Json} value=${data.error ?? data.call ?? data.output ?? data.prompt ?? null} />
            </details>
        </li>
      `
    )
  }</ol>`;
}

/**
 * Which node shows what, from the events so far: what follows a finished step unconditionally is
 * running; start and end record no steps of their own and follow from the others.
 */
function lights(events, workflow) {
  const status = new Map();
  const firstSeen = new Map();
  const nodes = workflow?.nodes ?? [];
  const edges = workflow?.edges ?? [];
  const ending = events.find((event) => event.event === "end");
  const see = (id, at, state) => {
    if (!firstSeen.has(id)) firstSeen.set(id, at);
    status.set(id, state);
  };
  const goOn = (id, at) => {
    if (ending) return;
    for (const edge of edges) {
      if (edge.source === id && !edge.label && !status.has(edge.target)) {
        see(edge.target, at + 0.5, "running");
      }
    }
  };
  for (const node of nodes) {
    if (node.type !== "start" || events.length === 0) continue;
    see(node.id, 0, "done");
    goOn(node.id, 0);
  }
  for (const { event, data } of events) {
    if (!data.node_id) continue;
    const state = event === "waiting" ? "waiting" : "running";
    see(data.node_id, data.event, event !== "step" ? state : data.error ? "failed" : "done");
    if (event === "step" && !data.error) goOn(data.node_id, data.event);
  }
  if (ending?.data.status === "completed") {
    const last = Math.max(...firstSeen.values());
    for (const node of nodes) {
      const reached = edges.some((edge) =>
        edge.target === node.id && status.get(edge.source) === "done"
      );
      if (node.type === "end" && reached) see(node.id, last + 1, "done");
    }
  }
  return { status, firstSeen };
}
