import { html, useState } from "../console/vendor/ui.js";
import { leads, save, STATUSES } from "./data.js";

/** One lead: log a call, set the status, write a note. */
export function LeadDetail({ id }) {
  const [lead, setLead] = useState(leads().find((one) => one.id === id));
  if (!lead) {
    return html`<p class="card">There is no such lead. <a href="#/leads">Back to the list</a></p>`;
  }
  const change = (more) => setLead(save({ ...lead, ...more }));
  const addNote = (event) => {
    event.preventDefault();
    const note = new FormData(event.target).get("note").trim();
    if (!note) return;
    change({ notes: [...lead.notes, note] });
    event.target.reset();
  };
  return html`
    <a href="#/leads" data-mira="back-to-list" class="small">← All leads</a>
    <div class="row spread">
      <h1 data-mira-mask>${lead.name}</h1>
      <button class="primary" data-mira="log-call" onClick=${() =>
        change({ calls: lead.calls + 1 })}>
        Log call <span class="small">(${lead.calls})</span>
      </button>
    </div>
    <div class="card form">
      <p><span class="muted">Company</span><br />${lead.company}</p>
      <p><span class="muted">Budget</span><br />${lead.budget} €</p>
      <label>Status
        <select name="lead-status" data-mira="lead-status" value=${lead.status} onChange=${(e) =>
          change({ status: e.target.value })}>
          ${STATUSES.map((status) => html`<option value=${status}>${status}</option>`)}
        </select>
      </label>
      <label>Next step
        <select name="next-step" data-mira="next-step" value=${lead.next ?? ""} onChange=${(e) =>
          change({ next: e.target.value })}>
          ${["", "call again", "send offer", "meeting"].map((step) =>
            html`<option value=${step}>${step || "none"}</option>`
          )}
        </select>
      </label>
    </div>
    <form class="card stack" name="note-form" onSubmit=${addNote}>
      <label>Note <textarea name="note" rows="3"></textarea></label>
      <div><button>Save note</button></div>
      ${lead.notes.map((note) => html`<p class="small" data-mira-mask>${note}</p>`)}
    </form>
  `;
}
