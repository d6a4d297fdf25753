/** The benchmark as a picture: latency and recall by how much a user has stored. */

import type { Side, Timing } from "./measure.ts";

const LABELS: Record<string, string> = {
  small: "10–300",
  mid: "300–2,000",
  "5k": "5,000",
  "30k": "30,000",
  global: "everybody",
};
const STYLE: Partial<Record<Side, { name: string; color: string; dash: string }>> = {
  mira: { name: "Mira", color: "#0f766e", dash: "" },
  seed: { name: "ivfflat, the seed's SQL", color: "#c2410c", dash: "6 4" },
  hnsw: { name: "HNSW, iterative scan", color: "#6d28d9", dash: "2 3" },
  exact: { name: "exact scan", color: "#6b7280", dash: "8 3 2 3" },
};
const WIDTH = 860;
const LEFT = 64;
const PLOT = 330;
const GAP = 84;
const TOP = 84;
const HEIGHT = 250;

/** An SVG of p95 latency (logarithmic) beside recall, one line for each way to answer. */
export function plotRecall(timings: Map<string, Map<Side, Timing>>, rows: number): string {
  const kinds = [...timings.keys()];
  const sides = (Object.keys(STYLE) as Side[]).filter((side) => timings.get(kinds[0]!)?.has(side));
  const all = kinds.flatMap((kind) => sides.map((side) => timings.get(kind)!.get(side)!));
  const low = Math.floor(Math.log10(Math.min(...all.map((t) => t.p95))));
  const high = Math.ceil(Math.log10(Math.max(...all.map((t) => t.p95))));
  const floor = Math.min(0.9, Math.floor(Math.min(...all.map((t) => t.recall)) * 10) / 10);

  const latency = panel(0, "p95 of one call, ms", kinds, {
    ticks: range(low, high).map((e) => ({ at: (e - low) / (high - low), text: `${10 ** e}` })),
    lines: sides.map((side) => ({
      side,
      at: kinds.map((kind) => (Math.log10(timings.get(kind)!.get(side)!.p95) - low) / (high - low)),
      text: kinds.map((kind) => short(timings.get(kind)!.get(side)!.p95)),
    })),
  });
  const recall = panel(1, "recall against the exact truth", kinds, {
    ticks: range(Math.round(floor * 10), 10).map((tenth) => ({
      at: (tenth / 10 - floor) / (1 - floor),
      text: (tenth / 10).toFixed(1),
    })),
    lines: sides.filter((side) => side !== "exact").map((side) => ({
      side,
      at: kinds.map((kind) => (timings.get(kind)!.get(side)!.recall - floor) / (1 - floor)),
      text: kinds.map((kind) => timings.get(kind)!.get(side)!.recall.toFixed(2)),
    })),
  });
  const legend = sides.map((side, i) => {
    const { name, color, dash } = STYLE[side]!;
    const x = LEFT + i * 190;
    return `<line x1="${x}" y1="44" x2="${x + 26}" y2="44" stroke="${color}" stroke-width="2.5"${
      dashed(dash)
    }/><text x="${x + 34}" y="48">${name}</text>`;
  }).join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${
    TOP + HEIGHT + 56
  }" font-family="system-ui, sans-serif" font-size="12" fill="#374151" role="img" aria-label="Latency and recall by user size">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="${LEFT}" y="22" font-size="15" font-weight="600" fill="#111827">find_similar_patterns, ${
    rows.toLocaleString("en")
  } rows, threshold 0.7, 5 results</text>
${legend}
${latency}
${recall}
</svg>
`;
}

interface Panel {
  ticks: { at: number; text: string }[];
  lines: { side: Side; at: number[]; text: string[] }[];
}

function panel(column: number, title: string, kinds: string[], { ticks, lines }: Panel): string {
  const left = LEFT + column * (PLOT + GAP);
  const x = (i: number) => left + (i + 0.5) * PLOT / kinds.length;
  const y = (at: number) => TOP + HEIGHT * (1 - at);
  const grid = ticks.map(({ at, text }) =>
    `<line x1="${left}" x2="${left + PLOT}" y1="${y(at)}" y2="${y(at)}" stroke="#e5e7eb"/>` +
    `<text x="${left - 8}" y="${y(at) + 4}" text-anchor="end">${text}</text>`
  ).join("");
  const names = kinds.map((kind, i) =>
    `<text x="${x(i)}" y="${TOP + HEIGHT + 20}" text-anchor="middle">${LABELS[kind] ?? kind}</text>`
  ).join("");
  const drawn = lines.map(({ side, at, text }) => {
    const { color, dash } = STYLE[side]!;
    const points = at.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`);
    const dots = points.map((point, i) => {
      const [cx, cy] = point.split(",");
      return `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${color}"><title>${
        text[i]
      }</title></circle>`;
    }).join("");
    return `<polyline points="${
      points.join(" ")
    }" fill="none" stroke="${color}" stroke-width="2.5"${dashed(dash)}/>${dots}`;
  }).join("");
  return `<g><text x="${left}" y="${TOP - 14}" font-weight="600">${title}</text>${grid}${names}` +
    `<text x="${left + PLOT / 2}" y="${
      TOP + HEIGHT + 40
    }" text-anchor="middle" fill="#6b7280">rows of the user</text>${drawn}</g>`;
}

function dashed(dash: string): string {
  return dash === "" ? "" : ` stroke-dasharray="${dash}"`;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

function short(ms: number): string {
  return ms.toPrecision(2);
}
