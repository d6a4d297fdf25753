import { html, useState } from "../console/vendor/ui.js";
import { save, SOURCES } from "./data.js";

/**
 * The form people struggle with: it wants a phone number with country code and no spaces, and does
 * not say so; whoever types a number as it is on a card is sent back.
 */
export function LeadForm() {
  const [faults, setFaults] = useState({});
  const submit = (event) => {
    event.preventDefault();
    const lead = Object.fromEntries(new FormData(event.target));
    const found = {};
    if (!lead.name.trim()) found.name = "Required.";
    if (!lead.company.trim()) found.company = "Required.";
    if (!/^\+\d{8,14}$/.test(lead.phone)) found.phone = "Invalid phone.";
    setFaults(found);
    if (Object.keys(found).length > 0) return;
    location.hash = `/leads/${save({ ...lead, budget: Number(lead.budget) || 0 }).id}`;
  };
  const field = (name, text, more = {}) =>
    html`
      <label>${text}
        <input name=${name} autocomplete="off" aria-invalid=${faults[name]
          ? "true"
          : null} ...${more} />
        <span class="fault">${faults[name] ?? ""}</span>
      </label>
    `;
  return html`
    <a href="#/leads" data-mira="back-to-list" class="small">← All leads</a>
    <h1>New lead</h1>
    <form class="card form" name="lead-form" novalidate onSubmit=${submit}>
      ${field("name", "Name")}${field("company", "Company")}
      ${field("email", "E-mail", { type: "email" })}${field("phone", "Phone", { type: "tel" })}
      <label>Source
        <select name="source">${SOURCES.map((s) => html`<option value=${s}>${s}</option>`)}</select>
      </label>
      ${field("budget", "Budget", { inputmode: "numeric" })}
      <div class="row wide"><button class="primary" data-mira="save-lead">Save lead</button></div>
    </form>
  `;
}
