import { html, useState } from "../console/vendor/ui.js";
import { leads } from "./data.js";

const RANGES = { week: 7, month: 30, quarter: 90, year: 365 };

/** Leads per status and source, with an export that breaks for ranges without won leads. */
export function Reports() {
  const [range, setRange] = useState("quarter");
  const [by, setBy] = useState("status");
  const [saved, setSaved] = useState(null);
  const chosen = leads().filter((lead) => lead.day >= 36 - RANGES[range] / 3);
  const groups = Object.entries(Object.groupBy(chosen, (lead) => lead[by]));
  const exportCsv = () => {
    // A real bug, left in on purpose: in a week nobody has won yet there is no best lead.
    const best =
      chosen.filter((lead) => lead.status === "won").sort((a, b) => b.budget - a.budget)[0];
    setSaved(`${chosen.length} rows, best ${best.budget} €`);
  };
  const byButton = (name) =>
    html`
      <button data-mira="by-${name}" data-mira-choice=${name} aria-pressed=${by === name}
        onClick=${() => setBy(name)}>by ${name}</button>
    `;
  return html`
    <div
      class="row spread"><h1>Reports</h1><button class="primary" data-mira="export-csv" onClick=${exportCsv}>Export CSV</button></div>
    <div class="card row">
      <label>Range
        <select name="range" data-mira-control="range" value=${range} onChange=${(e) =>
          setRange(e.target.value)}>
          ${Object.keys(RANGES).map((name) => html`<option value=${name}>${name}</option>`)}
        </select>
      </label>
      <div class="row" role="group" aria-label="Group" data-mira-control="group"
        style="align-self:end">${byButton("status")}${byButton("source")}</div>
    </div>
    ${saved && html`<p class="badge good" role="status">Exported: ${saved}</p>`}
    <div class="card">
      <table>
        <thead>
          <tr>
            <th>${by}</th>
            <th>Leads</th>
            <th>Budget</th>
          </tr>
        </thead>
        <tbody>${groups.map(([name, rows]) =>
          html`
            <tr key=${name}>
              <td>${name}</td>
              <td>${rows.length}</td>
              <td>${rows.reduce((sum, lead) => sum + lead.budget, 0)} €</td>
            </tr>
          `
        )}
      </tbody>
      </table>
    </div>
  `;
}
