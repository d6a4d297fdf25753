import { html, useState } from "./vendor/ui.js";
import { Act, Empty, Fault, Head, Json, Meter } from "./parts.js";

const TONE = { success: "good", partial: "warn", failed: "bad" };

/** Asks what worked before, by meaning, and says back whether it worked again. */
export function Recall({ mira }) {
  const [query, setQuery] = useState("");
  const [threshold, setThreshold] = useState(0.4);
  const [state, setState] = useState({ found: null, error: null, isBusy: false, ms: 0 });
  const search = async (event) => {
    event.preventDefault();
    setState((before) => ({ ...before, isBusy: true, error: null }));
    const began = performance.now();
    try {
      const found = await mira.find({ query, threshold, limit: 10 });
      setState({ found, error: null, isBusy: false, ms: performance.now() - began });
    } catch (error) {
      setState((before) => ({ ...before, error, isBusy: false }));
    }
  };
  const { found } = state;
  return html`
    <${Head} title="Recall"
      lead="Describe what you are about to do. You get what was done before for something of the same meaning, weighed by how it turned out." />
    <form class="card row" style="align-items:end" onSubmit=${search}>
      <label style="flex:1 1 260px">What are you about to do?
        <input name="query" value=${query} onInput=${(e) =>
          setQuery(e.target.value)} placeholder="call the new leads of today" required />
      </label>
      <label style="flex:0 0 150px">Similar by at least ${Math.round(threshold * 100)} %
        <input name="threshold" type="range" min="0" max="1" step="0.05" value=${threshold} onInput=${(
          e,
        ) => setThreshold(Number(e.target.value))} />
      </label>
      <button class="primary" disabled=${state.isBusy}>Recall</button>
    </form>
    ${state.error && html`<${Fault} error=${state.error} />`}
    ${found && html`
      <p class="small muted" role="status">${found.patterns.length} found in ${Math.round(
        state.ms,
      )} ms${found.model ? ` by ${found.model}` : ""}</p>
      ${found.patterns.length === 0 && html`
        <${Empty} title="Nothing similar enough">
          <p>Abstaining is an answer: nothing you did before comes close. Lower the threshold to see what is nearest.</p>
          <//>
      `}
      ${found.patterns.map((one) => html`<${Found} key=${one.id} one=${one} mira=${mira} />`)}
      ${found.avoid.length > 0 && html`<h2>Rather not</h2>
        <p class="small muted">Similar, and it failed.</p>
        ${found.avoid.map((one) => html`<${Found} key=${one.id} one=${one} mira=${mira} />`)}`}
    `}
    ${!found && !state.isBusy && html`
      <${Empty} title="Ask for something">
        <p>Promoted habits and recorded procedures are found here by what they mean, not by their words.</p>
        <//>
    `}
  `;
}

function Found({ one, mira }) {
  const [now, setNow] = useState({ confidence: one.confidence, use_count: one.use_count });
  const [said, setSaid] = useState("");
  const tell = (outcome) => async () => {
    setNow(await mira.patterns.feedback(one.id, outcome));
    setSaid(outcome);
  };
  return html`<article class="card pattern">
    <div class="row spread">
      <h2>${one.trigger}</h2>
      <span class="row"><span class="badge ${
    TONE[one.final_outcome]
  }">${one.final_outcome}</span><span class="badge">${
    one.source === "memories" ? "memory" : "pattern"
  }</span></span>
    </div>
    <dl class="facts">
      <dt>Score</dt><dd><${Meter} value=${one.score} label="Score" /></dd>
      <dt>Similarity</dt><dd><${Meter} value=${one.similarity} label="Similarity" /></dd>
      <dt>Confidence</dt><dd><${Meter} value=${now.confidence} label="Confidence" /> <span class="muted small">used ${now.use_count} ${
    now.use_count === 1 ? "time" : "times"
  }</span></dd>
    </dl>
    ${
    one.actions.length > 0 && html`<ol class="steps">${
      one.actions.map((action, i) => html`<li key=${i}><span>${nameOf(action)}</span></li>`)
    }</ol>`
  }
    <div class="row spread">
      <details><summary>All of it</summary><${Json} value=${{
    context: one.context,
    actions: one.actions,
  }} /></details>
      ${
    one.source === "behavior_patterns" && (said
      ? html`<span class="small muted" role="status">Noted: ${said}</span>`
      : html`<span class="row small"><span class="muted">Did it work?</span>
            <${Act} run=${tell("success")}>Yes<//><${Act} run=${
        tell("partial")
      }>In part<//><${Act} run=${tell("failed")}>No<//></span>`)
  }
    </div>
  </article>`;
}

/** A step's name; of a habit's action, `type:module:page#target`, what tells it apart. */
function nameOf(action) {
  const name = typeof action === "string"
    ? action
    : action?.name ?? action?.tool ?? action?.action ?? action?.type ?? "step";
  return name.match(/#(.+)$/)?.[1] ?? name.match(/^\w+:[^:]*:(\/.*)$/)?.[1] ?? name;
}
