import { html, useEffect, useRef, useState } from "./vendor/ui.js";
import { Empty, Fault, Head, Json, rows, Time } from "./parts.js";

const KEEP = 200;
const EVERY_MS = 1500;
const COLUMNS = "id, ingest_seq, occurred_at, event_type, module, page, target, payload";

/** Events as they arrive, newest first, each in words. */
export function Live({ supabase }) {
  const [events, setEvents] = useState(undefined);
  const [error, setError] = useState(null);
  const [isPaused, setPaused] = useState(false);
  const newest = useRef(-1);
  const firstSeq = useRef(Infinity);
  useEffect(() => {
    if (isPaused) return;
    let timer;
    const look = async () => {
      try {
        if (document.visibilityState === "visible") {
          const found = await rows(
            supabase.from("mira_behavioral_events").select(COLUMNS)
              .gt("ingest_seq", newest.current).order("ingest_seq", { ascending: false }).limit(60),
          );
          if (newest.current < 0) firstSeq.current = found[0]?.ingest_seq ?? 0;
          if (found.length) newest.current = found[0].ingest_seq;
          setEvents((before = []) => found.length ? [...found, ...before].slice(0, KEEP) : before);
          setError(null);
        }
      } catch (fault) {
        setError(fault);
      }
      timer = setTimeout(look, EVERY_MS);
    };
    look();
    return () => clearTimeout(timer);
  }, [isPaused]);
  return html`
    <${Head} title="Live events"
      lead="What you do in the app, as it arrives. Values you type are never among it.">
      <button aria-pressed=${isPaused} onClick=${() => setPaused(!isPaused)}>${isPaused
        ? "Go on"
        : "Pause"}</button>
    <//>
    ${error && html`<${Fault} error=${error} />`}
    ${events === undefined && !error && html`<p class="wait card">Loading…</p>`}
    ${events?.length === 0 && html`
      <${Empty} title="Nothing has happened yet">
        <p>Open the sample app with this account and press a few things. They appear here within seconds.</p>
        <a class="button primary" href="../sample/" target="_blank">Open the sample app</a>
        <//>
    `}
    ${events?.length > 0 && html`<ol class="card list" aria-live="polite">
      ${
      events.map((event) =>
        html`<${Line} key=${event.id} event=${event} isFresh=${
          event.ingest_seq > firstSeq.current
        } />`
      )
    }
    </ol>`}
  `;
}

function Line({ event, isFresh }) {
  const [isOpen, setOpen] = useState(false);
  const { payload } = event;
  return html`<li>
    <div class="event ${isFresh ? "fresh" : ""}">
      <${Time} at=${event.occurred_at} />
      <span class="type"><span class="badge ${event.event_type === "error" ? "bad" : ""}">${
    event.event_type.replace("_", " ")
  }</span></span>
      <span class="clip" title=${event.target ?? event.page}>${inWords(event)}</span>
      <span class="row">
        ${
    payload.dead &&
    html`<span class="badge warn" title="Nothing changed for 2.5 seconds">dead</span>`
  }
        ${payload.ok === false && html`<span class="badge bad">sent back</span>`}
        ${
    payload.abandoned &&
    html`<span class="badge warn" title="Form left unfinished">unfinished form</span>`
  }
        <button class="quiet small" aria-expanded=${isOpen} aria-label="Details" onClick=${() =>
    setOpen(!isOpen)}>…</button>
      </span>
    </div>
    ${isOpen && html`<${Json} value=${event} />`}
  </li>`;
}

/** One event as a sentence. */
export function inWords({ event_type: type, page, target, payload = {} }) {
  const on = html`<span class="muted">on ${page}</span>`;
  const what = html`<b>${payload.label ?? target ?? "the page"}</b>`;
  switch (type) {
    case "navigation":
      return html`${payload.reload ? "reloaded" : "went to"} <b>${page}</b> ${
        payload.from && html`<span class="muted">from ${payload.from}</span>`
      }`;
    case "page_leave":
      return html`left <b>${page}</b> <span class="muted">after ${
        Math.round((payload.dwell_ms ?? 0) / 1000)
      } s</span>`;
    case "click":
      return html`pressed ${what} ${on}`;
    case "input":
      return payload.control
        ? html`set ${payload.control} to <b>${payload.choice}</b> ${on}`
        : html`${payload.changed ? "changed" : "entered"} <b>${payload.field}</b> ${on}`;
    case "form_submit":
      return html`submitted <b>${payload.form}</b> ${on}`;
    case "error":
      return html`<b>${payload.message}</b> ${on}`;
    default:
      return html`${what} ${on}`;
  }
}
