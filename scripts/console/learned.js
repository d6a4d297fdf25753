import { html, useState } from "./vendor/ui.js";
import { Act, Empty, Head, Json, Loaded, Meter, rows, Time, useLoad } from "./parts.js";
import { inWords } from "./live.js";

const TYPES = [
  ["workflow_habit", "Habits", "What you do again and again, in the same order."],
  ["struggle", "Struggles", "Where the app gets in your way."],
  ["preference", "Preferences", "What you choose when you have the choice."],
];
const KINDS = {
  rage: "pressed again and again in a hurry",
  dead: "pressed, and nothing happened",
  error: "pressed, and it broke",
  retry: "had to be sent again",
  thrash: "changed over and over",
  abandon: "begun and left unfinished",
  uturn: "opened and left at once",
  pingpong: "went back and forth",
  refresh: "reloaded again and again",
};

/** What was learned about the person, why, and what it replaced; theirs to keep, dismiss or promote. */
export function Learned({ supabase, mira }) {
  const [showsPast, setShowsPast] = useState(false);
  const [news, setNews] = useState("");
  const patterns = useLoad(
    () =>
      rows(
        supabase.from("mira_learned_patterns").select("*").order("confidence", { ascending: false })
          .limit(200),
      ),
    [],
  );
  const learn = async () => {
    const { events, learned, retired } = await mira.learned.learn();
    const changed = Object.values(learned).reduce((sum, n) => sum + n, 0);
    setNews(
      events === 0
        ? "Nothing new since the last time."
        : `Learned from ${events} events: ${changed} added or changed, ${retired} retired.`,
    );
    await patterns.reload();
  };
  return html`
    <${Head} title="What was learned about you"
      lead="Every statement has a confidence it has earned and the events that show it. You have the last word.">
      <button aria-pressed=${showsPast} onClick=${() => setShowsPast(!showsPast)}>History</button>
      <${Act} class="primary" run=${learn}>Learn now<//>
    <//>
    ${news && html`<p class="small muted" role="status">${news}</p>`}
    <${Loaded} of=${patterns}>${(all) => {
      const shown = all.filter((one) => showsPast || ["active", "pinned"].includes(one.status));
      const byId = new Map(all.map((one) => [one.id, one]));
      if (shown.length === 0) {
        return html`
          <${Empty} title=${all.length ? "Nothing current" : "Nothing learned yet"}>
            <p>One visit proves nothing. A habit needs three visits on two days, a struggle two visits, a preference five. Until then nothing is claimed.</p>
            <a class="button" href="../sample/">Open the sample app</a>
            <//>
        `;
      }
      return TYPES.map(([type, title, lead]) => {
        const some = shown.filter((one) => one.pattern_type === type)
          .sort((a, b) => (b.status === "pinned") - (a.status === "pinned"));
        return some.length > 0 && html`<section class="stack" key=${type} aria-label=${title}>
          <div class="row"><h2>${title}</h2><span class="small muted">${lead}</span></div>
          ${
          some.map((one) =>
            html`
              <${Pattern} key=${one.id} one=${one} before=${byId.get(
                one.supersedes_id,
              )} supabase=${supabase}
                mira=${mira} onChange=${patterns.reload} />
            `
          )
        }
        </section>`;
      });
    }}<//>
  `;
}

function Pattern({ one, before, supabase, mira, onChange }) {
  const choose = (status) => async () => {
    await mira.learned.choose(one.id, status);
    await onChange();
  };
  const promote = async () => {
    const { workflow_id } = await mira.learned.promote(one.id);
    location.hash = `/workflows/${workflow_id}`;
  };
  const isCurrent = one.status !== "retired";
  const isPinned = one.status === "pinned";
  return html`<article class="card pattern" data-pattern=${one.pattern_type}>
    <div class="row spread">
      <h3>${headline(one)}</h3>
      <span class="row">
        ${isPinned && html`<span class="badge accent">pinned</span>`}
        ${!isCurrent && html`<span class="badge">until <${Time} at=${one.valid_to} day /></span>`}
        ${one.status === "dismissed" && html`<span class="badge">dismissed</span>`}
        <${Meter} value=${one.confidence} label="Confidence" />
      </span>
    </div>
    ${
    one.metadata.sequence && html`<ol class="steps">${
      (one.metadata.steps ?? []).map((step, i) =>
        html`
          <li key=${i}><span title="${step.event_type} on ${step.page}">${stepName(
            step,
          )}</span></li>
        `
      )
    }</ol>`
  }
    <p class="small muted">${because(one)} Last seen <${Time} at=${one.last_detected_at} />.
      ${
    before && html`
      Before that: ${headline(before)}.
    `
  }</p>
    <div class="row spread" style="align-items:end">
      <${Evidence} one=${one} supabase=${supabase} />
      ${
    isCurrent && html`<span class="row">
        ${
      one.pattern_type === "workflow_habit" && (one.workflow_id
        ? html`<a class="button" href="#/workflows/${one.workflow_id}">Open its workflow</a>`
        : html`<${Act} class="primary" run=${promote}>Make it a workflow<//>`)
    }
        ${
      one.status === "dismissed"
        ? html`<${Act} run=${choose("active")}>Bring back<//>`
        : html`<${Act} run=${choose(isPinned ? "active" : "pinned")}>${
          isPinned ? "Unpin" : "Pin"
        }<//>
              <${Act} class="quiet" run=${choose("dismissed")}>Dismiss<//>`
    }
      </span>`
  }
    </div>
  </article>`;
}

function Evidence({ one, supabase }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.target.open)}>
    <summary>Why</summary>
    ${isOpen && html`<${EvidenceList} one=${one} supabase=${supabase} />`}
  </details>`;
}

function EvidenceList({ one, supabase }) {
  const events = useLoad(
    () =>
      rows(
        supabase.from("mira_behavioral_events").select(
          "event_id, occurred_at, event_type, page, target, payload",
        )
          .in("event_id", one.evidence).order("occurred_at", { ascending: false }),
      ),
    [one.id],
  );
  return html`
    <div class="stack">
      <${Loaded} of=${events}>${(list) =>
        html`<ul class="list">${
          list.map((event) =>
            html`<li key=${event.event_id} class="small row">
      <${Time} at=${event.occurred_at} /><span>${inWords(event)}</span></li>`
          )
        }</ul>`}<//>
        <details><summary>The figures</summary><${Json} value=${{
          ...one.metadata,
          algorithm: one.algorithm,
          since: one.valid_from,
          runs: one.run_count,
        }} /></details>
      </div>
  `;
}

/** A learned pattern in one line. */
function headline({ pattern_type: type, metadata: m, module, pattern_key }) {
  if (type === "preference") return html`${m.control} on ${m.page}: <b>${m.value}</b>`;
  if (type === "struggle") {
    return html`<b>${m.target ?? m.page}</b> ${m.target ? `on ${m.page} ` : ""}${
      KINDS[m.kind] ?? m.kind
    }`;
  }
  const steps = m.steps ?? [];
  if (steps.length === 0) return pattern_key;
  return html`${module}: <b>${stepName(steps[0])}</b> to <b>${
    stepName(steps.at(-1))
  }</b>, ${steps.length} steps`;
}

function because({ pattern_type: type, metadata: m, frequency }) {
  const [k, n] = [m.k ?? frequency, m.n ?? frequency];
  if (type === "preference") return `Your last choice in ${k} of ${n} visits, over ${m.days} days.`;
  if (type === "struggle") {
    return `In ${k} of ${n} visits${
      m.others?.n ? `; others: ${m.others.k} of ${m.others.n}` : ""
    }.`;
  }
  return `In ${k} visits, ${k} of ${n} that began like this; far more often than chance.`;
}

function stepName({ event_type: type, target, page }) {
  if (type === "navigation") return `go to ${page}`;
  return target ?? `${type} on ${page}`;
}
