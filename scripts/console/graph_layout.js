/**
 * Places a graph for drawing, left to right: layers by longest path (edges that would go back are
 * set aside first), order within a layer by the average place of the neighbours, two sweeps.
 */
const WIDTH = 150;
const HEIGHT = 46;
const GAP_X = 62;
const GAP_Y = 26;
const MARGIN = 18;

/** @returns `{width, height, nodes: [{...node, x, y, w, h}], edges: [{...edge, path, labelAt, isBack}]}` */
export function layOut(nodes, edges) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const known = edges.filter((edge) => byId.has(edge.source) && byId.has(edge.target));
  const back = backEdges(nodes, known);
  const forward = known.filter((edge) => !back.has(edge));
  const layer = layers(nodes, forward);
  const columns = [];
  for (const node of nodes) (columns[layer.get(node.id)] ??= []).push(node.id);
  order(columns, forward);

  const tallest = Math.max(1, ...columns.map((column) => column.length));
  const backRoom = back.size ? 26 : 0;
  const height = tallest * (HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN + backRoom;
  const placed = new Map();
  columns.forEach((column, c) => {
    const top = (height - backRoom - column.length * (HEIGHT + GAP_Y) + GAP_Y) / 2;
    column.forEach((id, r) =>
      placed.set(id, {
        ...byId.get(id),
        x: MARGIN + c * (WIDTH + GAP_X),
        y: top + r * (HEIGHT + GAP_Y),
        w: WIDTH,
        h: HEIGHT,
      })
    );
  });
  return {
    width: columns.length * (WIDTH + GAP_X) - GAP_X + 2 * MARGIN,
    height,
    nodes: [...placed.values()],
    edges: known.map((edge) =>
      draw(edge, placed.get(edge.source), placed.get(edge.target), height)
    ),
  };
}

function draw(edge, from, to, height) {
  const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
  if (x2 > x1) {
    const bend = Math.max(28, (x2 - x1) / 2);
    return {
      ...edge,
      isBack: false,
      path: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`,
      labelAt: { x: x1 + 12 + (x2 - x1 - GAP_X) * 0.1, y: y1 + (y2 - y1) * 0.28 - 6 },
    };
  }
  const low = height - 10;
  return {
    ...edge,
    isBack: true,
    path: `M${from.x + WIDTH / 2},${from.y + HEIGHT} C${from.x + WIDTH / 2},${low} ${
      to.x + WIDTH / 2
    },${low} ${to.x + WIDTH / 2},${to.y + HEIGHT}`,
    labelAt: { x: (from.x + to.x + WIDTH) / 2, y: low - 4 },
  };
}

function backEdges(nodes, edges) {
  const out = Map.groupBy(edges, (edge) => edge.source);
  const state = new Map();
  const back = new Set();
  const visit = (id) => {
    state.set(id, "open");
    for (const edge of out.get(id) ?? []) {
      if (state.get(edge.target) === "open") back.add(edge);
      else if (!state.has(edge.target)) visit(edge.target);
    }
    state.set(id, "done");
  };
  const first = nodes.filter((node) => node.type === "start");
  for (const node of [...first, ...nodes]) if (!state.has(node.id)) visit(node.id);
  return back;
}

function layers(nodes, edges) {
  const into = Map.groupBy(edges, (edge) => edge.target);
  const layer = new Map();
  const depth = (id) => {
    if (!layer.has(id)) {
      layer.set(id, Math.max(0, ...(into.get(id) ?? []).map((edge) => depth(edge.source) + 1)));
    }
    return layer.get(id);
  };
  nodes.forEach((node) => depth(node.id));
  return layer;
}

function order(columns, edges) {
  for (let sweep = 0; sweep < 2; sweep++) {
    for (let c = 1; c < columns.length; c++) {
      const place = new Map(columns[c - 1].map((id, i) => [id, i]));
      const weight = new Map(columns[c].map((id, i) => {
        const near = edges.filter((edge) => edge.target === id && place.has(edge.source))
          .map((edge) => place.get(edge.source));
        return [id, near.length ? near.reduce((a, b) => a + b) / near.length : i];
      }));
      columns[c].sort((a, b) => weight.get(a) - weight.get(b));
    }
  }
}
