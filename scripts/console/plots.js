import { html } from "./vendor/ui.js";

const WIDTH = 320;
const HEIGHT = 110;
const FOOT = 16;

/** Columns over days; `days` is `[{day: "2026-03-02", value, part?}]`, `part` drawn in a second colour. */
export function DayColumns({ title, days, unit }) {
  const most = Math.max(1, ...days.map((day) => day.value));
  const step = WIDTH / Math.max(days.length, 1);
  const tall = (value) => value / most * (HEIGHT - FOOT - 12);
  const name = (day) =>
    new Date(day + "T12:00").toLocaleDateString([], { day: "numeric", month: "short" });
  return html`
    <figure class="card plot stack" style="margin:0">
      <h3>${title}</h3>
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}: ${days.map((day) =>
        `${day.day} ${day.value}`
      ).join(", ")}">
          <text x="0" y="8">${days.some((day) => day.value)
            ? `${most} ${unit}`
            : `no ${unit}`}</text>
          <line x1="0" x2=${WIDTH} y1=${HEIGHT - FOOT} y2=${HEIGHT - FOOT} stroke="var(--line)" />
          ${days.map((day, i) =>
            html`<g key=${day.day}>
        <title>${name(day.day)}: ${day.value} ${unit}${
              day.part ? `, ${day.part} failed` : ""
            }</title>
        <rect x=${i * step + 1} y="0" width=${Math.max(step - 2, 1)} height=${
              HEIGHT - FOOT
            } fill="transparent" />
        <rect x=${i * step + 1} y=${HEIGHT - FOOT - tall(day.value)} width=${
              Math.max(step - 2, 1)
            } height=${tall(day.value)} rx="1.5" fill="var(--accent)" />
        ${
              day.part &&
              html`<rect x=${i * step + 1} y=${HEIGHT - FOOT - tall(day.part)} width=${
                Math.max(step - 2, 1)
              } height=${tall(day.part)} rx="1.5" fill="var(--bad)" />`
            }
      </g>`
          )}
          ${days.length > 0 && html`
            <text x="0" y=${HEIGHT - 3}>${name(days[0].day)}</text>
            <text x=${WIDTH} y=${HEIGHT - 3} text-anchor="end">${name(days.at(-1).day)}</text>
          `}
        </svg>
    </figure>
  `;
}

/** Named amounts as bars, largest first; `rows` is `[{name, value, note?}]`. */
export function Bars({ title, rows }) {
  const most = Math.max(1, ...rows.map((row) => row.value));
  const sorted = rows.toSorted((a, b) => b.value - a.value).slice(0, 10);
  return html`<figure class="card plot stack" style="margin:0">
    <h3>${title}</h3>
    ${sorted.length === 0 && html`<p class="muted small">Nothing yet.</p>`}
    ${
    sorted.map((row) =>
      html`<div class="bar" key=${row.name} title=${row.note ?? ""}>
      <span class="clip">${row.name}</span><span><i style="width:${
        row.value / most * 100
      }%"></i></span><span>${row.value}</span>
    </div>`
    )
  }
  </figure>`;
}

/** The last `count` days as `YYYY-MM-DD`, oldest first. */
export function lastDays(count) {
  return Array.from({ length: count }, (_, i) => {
    const day = new Date();
    day.setDate(day.getDate() - (count - 1 - i));
    return localDay(day);
  });
}

/** A moment's day where the person is. */
export function localDay(at) {
  const date = new Date(at);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((n) =>
    String(n).padStart(2, "0")
  ).join("-");
}
