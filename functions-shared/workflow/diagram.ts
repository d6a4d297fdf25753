/**
 * A workflow as a Mermaid flowchart.
 *
 * @module
 */

/** A graph, and where a run has been in it. */
export interface DrawnGraph {
  nodes: { id: string; type: string; name: string }[];
  /** ends are node ids or names */
  edges: { source: string; target: string; condition_label?: string | null }[];
  /** visits by node id */
  visited?: Record<string, number>;
  /** ids of nodes that are being done or waited for */
  active?: string[];
}

/** Brackets around the label, by node type. */
const SHAPES: Record<string, [string, string]> = {
  start: ["([", "])"],
  end: ["([", "])"],
  router: ["{", "}"],
  tool: ["[[", "]]"],
  human: ["[/", "/]"],
  wait: ["{{", "}}"],
  map: ["[(", ")]"],
  subworkflow: ["[[", "]]"],
};

/**
 * Mermaid text of the graph. With a run, visited nodes are marked with their number of visits, the
 * active ones stand out, and edges between visited nodes are drawn thick.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const text = drawGraph({
 *   nodes: [{ id: "a", type: "start", name: "begin" }, { id: "b", type: "end", name: "done" }],
 *   edges: [{ source: "begin", target: "done" }],
 * });
 * assert.match(text, /n0\(\["begin"\]\)/);
 * assert.match(text, /n0 --> n1/);
 * ```
 */
export function drawGraph(drawn: DrawnGraph): string {
  const graph = { ...drawn, nodes: inOrder(drawn) };
  const number = new Map<string, number>();
  graph.nodes.forEach((node, i) => number.set(node.name, i));
  graph.nodes.forEach((node, i) => number.set(node.id, i));
  const visits = graph.nodes.map(({ id }) => graph.visited?.[id] ?? 0);
  const active = new Set(graph.active ?? []);
  const lines = ["flowchart TD"];
  graph.nodes.forEach((node, i) => {
    const [open, close] = SHAPES[node.type] ?? ["[", "]"];
    const times = visits[i]! > 1 ? ` ×${visits[i]}` : "";
    const kind = node.type === "start" || node.type === "end" ? "" : `<br/>${node.type}`;
    lines.push(`  n${i}${open}"${text(node.name)}${times}${kind}"${close}`);
  });
  for (const edge of graph.edges) {
    const from = number.get(edge.source), to = number.get(edge.target);
    if (from === undefined || to === undefined) continue;
    const walked = visits[from]! > 0 && (visits[to]! > 0 || active.has(graph.nodes[to]!.id));
    const label = edge.condition_label ? `|"${text(edge.condition_label)}"|` : "";
    lines.push(`  n${from} ${walked ? "==>" : "-->"}${label} n${to}`);
  }
  const marked = (name: string, style: string, is: (i: number) => boolean) => {
    const ids = graph.nodes.flatMap((_, i) => is(i) ? [`n${i}`] : []);
    if (ids.length > 0) lines.push(`  classDef ${name} ${style}`, `  class ${ids.join()} ${name}`);
  };
  const isActive = (i: number) => active.has(graph.nodes[i]!.id);
  marked("visited", "fill:#d7f5dd,stroke:#2b8a3e", (i) => visits[i]! > 0 && !isActive(i));
  marked("active", "fill:#fff3bf,stroke:#e67700,stroke-width:3px", isActive);
  return `${lines.join("\n")}\n`;
}

/** Text inside quotes: what Mermaid or HTML would read is written as entities. */
function text(raw: string): string {
  return raw.slice(0, 120).replace(/[^\p{L}\p{N} _.,:!?+*/()-]/gu, (c) => `#${c.codePointAt(0)};`);
}

/** Nodes as one meets them from the start, those nobody meets last: the same graph, the same text. */
function inOrder({ nodes, edges }: DrawnGraph): DrawnGraph["nodes"] {
  const found = new Set(nodes.filter(({ type }) => type === "start"));
  for (const { id, name } of found) {
    for (const { source, target } of edges) {
      if (source !== id && source !== name) continue;
      const next = nodes.find((node) => node.id === target || node.name === target);
      if (next) found.add(next);
    }
  }
  return [...found, ...nodes.filter((node) => !found.has(node))];
}
