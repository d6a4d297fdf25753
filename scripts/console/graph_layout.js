/**
 * Places a graph for drawing, left to right: layers by longest path (edges that would go back are
 * set aside first), order within a layer by the average place of the neighbours. Layers that do not
 * fit beside each other go on in a further row.
 */
const WIDTH = 146;
const HEIGHT = 46;
const GAP_X = 48;
const GAP_Y = 26;
const ROW_GAP = 44;
const MARGIN = 32;

/**
 * @param room width there is, in px; a single layer may be wider.
 * @returns `{width, height, nodes: [{...node, x, y, w, h}], edges: [{...edge, path, labelAt, isBack}]}`
 */
export function layOut(nodes, edges, room = 1000) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const known = edges.filter((edge) => byId.has(edge.source) && byId.has(edge.target));
  const back = backEdges(nodes, known);
  const forward = known.filter((edge) => !back.has(edge));
  const layer = layers(nodes, forward);
  const columns = [];
  for (const node of nodes) (columns[layer.get(node.id)] ??= []).push(node.id);
  order(columns, forward);

  const perRow = Math.max(1, Math.floor((room - 2 * MARGIN + GAP_X) / (WIDTH + GAP_X)));
  const placed = new Map();
  let top = MARGIN;
  for (let first = 0; first < columns.length; first += perRow) {
    const row = columns.slice(first, first + perRow);
    const tall = Math.max(...row.map((column) => column.length)) * (HEIGHT + GAP_Y) - GAP_Y;
    row.forEach((column, c) => {
      const begin = top + (tall - column.length * (HEIGHT + GAP_Y) + GAP_Y) / 2;
      column.forEach((id, r) => {
        const at = { x: MARGIN + c * (WIDTH + GAP_X), y: begin + r * (HEIGHT + GAP_Y) };
        placed.set(id, { ...byId.get(id), ...at, w: WIDTH, h: HEIGHT, row: first });
      });
    });
    top += tall + ROW_GAP;
  }
  const height = top - ROW_GAP + MARGIN + (back.size ? 26 : 0);
  const drawn = known.map((edge) =>
    draw(edge, placed.get(edge.source), placed.get(edge.target), back.has(edge), height)
  );
  const wide = Math.min(perRow, columns.length) * (WIDTH + GAP_X) - GAP_X + 2 * MARGIN;
  return { width: wide, height, nodes: [...placed.values()], edges: drawn };
}

function draw(edge, from, to, isBack, height) {
  if (isBack) {
    const [x1, x2, low] = [from.x + WIDTH / 2, to.x + WIDTH / 2, height - 10];
    const path = `M${x1},${from.y + HEIGHT} C${x1},${low} ${x2},${low} ${x2},${to.y + HEIGHT}`;
    return { ...edge, isBack, path, labelAt: { x: (x1 + x2) / 2, y: low - 4 } };
  }
  if (from.row !== to.row) {
    const [x1, y1, x2, y2] = [from.x + WIDTH / 2, from.y + HEIGHT, to.x + WIDTH / 2, to.y];
    const middle = (y1 + y2) / 2;
    const path = `M${x1},${y1} C${x1},${middle + 8} ${x2},${middle - 8} ${x2},${y2}`;
    return { ...edge, isBack, path, labelAt: { x: (x1 + x2) / 2, y: middle } };
  }
  if (from.y === to.y && to.x - from.x > WIDTH + GAP_X) {
    // over the nodes between, not behind them
    const [x1, x2, high] = [from.x + WIDTH * 0.8, to.x + WIDTH * 0.2, from.y - 34];
    const path = `M${x1},${from.y} C${x1 + 20},${high} ${x2 - 20},${high} ${x2},${to.y}`;
    return { ...edge, isBack, path, labelAt: { x: (x1 + x2) / 2 - 10, y: from.y - 14 } };
  }
  const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
  const bend = Math.max(24, (x2 - x1) / 2);
  const path = `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`;
  return { ...edge, isBack, path, labelAt: { x: (x1 + x2) / 2 - 8, y: (y1 + y2) / 2 - 5 } };
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
