import { html, useEffect, useState } from "./vendor/ui.js";
import { Empty, Fault, Head, Loaded, Time, useLoad } from "./parts.js";

const TONE = { success: "good", error: "bad", warning: "warn", info: "" };
const STATUS = {
  completed: "good",
  failed: "bad",
  waiting: "warn",
  running: "accent",
  pending: "accent",
  cancelled: "",
};

/** Tasks, and the lines of the one that is open as they are written. */
export function Log({ mira, path: [taskId] }) {
  const tasks = useLoad(() => mira.logs.tasks({ limit: 50 }), [], 5000);
  return html`
    <${Head} title="Log"
      lead="What runs and agents did for you. Lines arrive as they are written." />
    <${Loaded} of=${tasks}>${({ tasks: list }) =>
      list.length === 0 && !taskId
        ? html`
          <${Empty} title="Nothing was done yet">
            <p>Every run of a workflow leaves its trace here, and so does every agent that writes through log-execution.</p>
            <//>
        `
        : html`
          <div class="columns">
            <section class="card stack">
              <h2>Tasks</h2>
              <ul class="list">${list.map((task) =>
                html`
                  <li key=${task.id} class="row spread">
                    <a class="clip" href="#/log/${task.task_id ??
                      task.id}" aria-current=${(task.task_id ?? task.id) === taskId
                      ? "true"
                      : null}>${task.task_description ?? task.description ?? task.id}</a>
                    <span
                      class="row small"><${Time} at=${task
                        .created_at} /><span class="badge ${STATUS[task.status]}">${task
                        .status}</span></span>
                  </li>
                `
              )}</ul>
            </section>
            <section class="card stack"><h2>Lines</h2>
                    ${taskId
                      ? html`<${LogLines} key=${taskId} mira=${mira} taskId=${taskId} />`
                      : html`<p class="muted">Choose a task.</p>`}
                  </section>
          </div>
        `}<//>
  `;
}

/** One task's lines, live. */
export function LogLines({ mira, taskId }) {
  const [lines, setLines] = useState([]);
  const [error, setError] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    (async () => {
      try {
        for await (const line of mira.logs.follow(taskId, { signal: stop.signal })) {
          setLines((before) => [...before, line].slice(-500));
        }
      } catch (fault) {
        if (!stop.signal.aborted) setError(fault);
      }
    })();
    return () => stop.abort();
  }, [taskId]);
  if (error) return html`<${Fault} error=${error} />`;
  if (lines.length === 0) return html`<p class="muted">No line yet.</p>`;
  return html`<ol class="list" aria-live="polite">${
    lines.map((line) =>
      html`
        <li key=${line.seq} class="logline">
          <${Time} at=${line.created_at} />
          <span><span class="badge ${TONE[line.level]}">${line.level}</span></span>
          <span class="what">
          ${line.step && !line.message.startsWith(line.step) &&
            html`<b class="step">${line.step}</b>`}
          ${line.message}
          </span>
        </li>
      `
    )
  }</ol>`;
}
