import { html, useEffect, useMemo, useRef, useState } from "./vendor/ui.js";
import { layOut } from "./graph_layout.js";

/**
 * A workflow as a picture. `status` gives a node id's state: running, waiting, done, failed; an edge
 * between two nodes that were reached, in this order, is drawn as taken.
 */
export function WorkflowGraph({ nodes, edges, status = new Map(), firstSeen = new Map() }) {
  const frame = useRef(null);
  const [room, setRoom] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setRoom(Math.floor(entry.contentRect.width)));
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, []);
  const drawn = useMemo(() => layOut(nodes, edges, room || 1000), [nodes, edges, room]);
  const isTaken = (edge) =>
    status.get(edge.source) === "done" && status.has(edge.target) &&
    (edge.isBack || (firstSeen.get(edge.target) ?? Infinity) > (firstSeen.get(edge.source) ?? 0));
  return html`
    <div class="graph" ref=${frame} tabindex="0" role="group" aria-label="Workflow graph">
      <svg width=${drawn.width} height=${drawn.height} viewBox="0 0 ${drawn.width} ${drawn
        .height}" role="img"
        aria-label=${nodes.map((node) => `${node.name}: ${status.get(node.id) ?? "not reached"}`)
          .join(", ")}>
          <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="9" orient="auto-start-reverse">
            <path d="M0,0 8,4 0,8z" fill="context-stroke" /></marker></defs>
          ${drawn.edges.map((edge) =>
            html`<path key=${edge.id} class="edge ${
              isTaken(edge) ? "taken" : ""
            }" d=${edge.path} marker-end="url(#arrow)" />`
          )}
          ${drawn.edges.map((edge) =>
            edge.label &&
            html`<text key="l${edge.id}" class="label" x=${edge.labelAt.x} y=${edge.labelAt.y}>${edge.label}</text>`
          )}
          ${drawn.nodes.map((node) =>
            html`
              <g key=${node.id} class="node ${status.get(node.id) ?? ""}" data-node=${node
                .name} data-status=${status.get(node.id) ?? ""}>
                <title>${node.name} (${node.type})${status.get(node.id)
                  ? `, ${status.get(node.id)}`
                  : ""}</title>
                <rect x=${node.x} y=${node.y} width=${node.w} height=${node.h} rx="9" />
                <text x=${node.x + 12} y=${node.y + 20}>${short(node.name, 18)}</text>
                <text class="type" x=${node.x + 12} y=${node.y + 36}>${node.type}</text>
              </g>
            `
          )}
        </svg>
    </div>
  `;
}

function short(text, most) {
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}
