import { html, useState } from "../console/vendor/ui.js";
import { leads, STATUSES } from "./data.js";

const SORTS = {
  newest: (a, b) => b.day - a.day,
  score: (a, b) => b.score - a.score,
  name: (a, b) => a.name.localeCompare(b.name),
};

/** Leads with search, status filter, sorting and two views. Nothing is remembered between visits. */
export function LeadList() {
  const [query, setQuery] = useState("");
  const [status, setStatus] = useState("all");
  const [sort, setSort] = useState("name");
  const [view, setView] = useState("table");
  const shown = leads()
    .filter((lead) => status === "all" || lead.status === status)
    .filter((lead) => `${lead.name} ${lead.company}`.toLowerCase().includes(query.toLowerCase()))
    .sort(SORTS[sort]).slice(0, 12);
  const viewButton = (name) =>
    html`
      <button data-mira="view-${name}" data-mira-choice=${name} aria-pressed=${view === name}
        onClick=${() => setView(name)}>${name}</button>
    `;
  return html`
    <div class="row spread">
      <h1>Leads</h1>
      <a class="button primary" href="#/leads/new" data-mira="new-lead">New lead</a>
    </div>
    <div class="filters card">
      <label>Search <input name="q" type="search" onChange=${(e) =>
        setQuery(e.target.value)} /></label>
      <label>Status
        <select name="status" data-mira-control="filter" value=${status} onChange=${(e) =>
          setStatus(e.target.value)}>
          ${["all", ...STATUSES].map((s) => html`<option value=${s}>${s}</option>`)}
        </select>
      </label>
      <label>Sort by
        <select name="sort" data-mira-control="sort" value=${sort} onChange=${(e) =>
          setSort(e.target.value)}>
          ${Object.keys(SORTS).map((s) => html`<option value=${s}>${s}</option>`)}
        </select>
      </label>
      <div class="row" role="group" aria-label="View"
        data-mira-control="view">${viewButton("table")}${viewButton("cards")}</div>
    </div>
    ${shown.length === 0 &&
      html`<p class="card muted">No lead matches. Try another name or status.</p>`}
    ${view === "table" ? html`<${Table} leads=${shown} />` : html`<${Cards} leads=${shown} />`}
  `;
}

// The score looks like a button and is none: people press it and nothing happens.
const Score = ({ value }) =>
  html`<span class="badge accent" style="cursor:pointer" data-mira="score-badge">${value}</span>`;

const Link = ({ lead }) =>
  html`<a href="#/leads/${lead.id}" data-mira="lead-row" data-mira-mask>${lead.name}</a>`;

function Table({ leads }) {
  return html`
    <div class="card scroll">
      <table>
        <thead>
          <tr>
            <th>Name</th>
            <th>Company</th>
            <th>Status</th>
            <th>Score</th>
          </tr>
        </thead>
        <tbody>${leads.map((lead) =>
          html`
            <tr key=${lead.id}>
              <td>
                <${Link} lead=${lead} />
              </td>
              <td>${lead.company}</td>
              <td><span class="badge">${lead.status}</span></td>
              <td>
                <${Score} value=${lead.score} />
              </td>
            </tr>
          `
        )}
        </tbody>
      </table>
    </div>
  `;
}

function Cards({ leads }) {
  return html`<div class="cards">${
    leads.map((lead) =>
      html`
        <article class="card stack" key=${lead.id}>
          <${Link} lead=${lead} /><span class="muted small">${lead.company}</span>
          <div class="row"><span class="badge">${lead.status}</span><${Score} value=${lead
            .score} /></div>
        </article>
      `
    )
  }</div>`;
}
