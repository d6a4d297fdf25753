import assert from "node:assert/strict";
import { drawGraph } from "../../../../functions-shared/workflow/diagram.ts";

const graph = {
  nodes: [
    { id: "1", type: "start", name: "begin" },
    { id: "2", type: "router", name: "choose" },
    { id: "3", type: "human", name: "approve" },
    { id: "4", type: "end", name: "done" },
  ],
  edges: [
    { source: "1", target: "2" },
    { source: "choose", target: "approve", condition_label: "big" },
    {
      source: "2",
      target: "4",
      condition_label: 'a "quoted" | <b>label</b>\nclick n0 call evil()',
    },
    { source: "3", target: "4" },
  ],
};

Deno.test("nodes have their shapes, and edges join ids or names", () => {
  assert.equal(
    drawGraph({ ...graph, edges: graph.edges.slice(0, 2) }),
    [
      "flowchart TD",
      '  n0(["begin"])',
      '  n1{"choose<br/>router"}',
      '  n2[/"approve<br/>human"/]',
      '  n3(["done"])',
      "  n0 --> n1",
      '  n1 -->|"big"| n2',
      "",
    ].join("\n"),
  );
});

Deno.test("a run's path is thick, visited nodes are counted, waiting ones stand out", () => {
  const text = drawGraph({ ...graph, visited: { 1: 1, 2: 2 }, active: ["3"] });
  assert.match(text, /n0 ==> n1/);
  assert.match(text, /n1 ==>\|"big"\| n2/);
  assert.match(text, /n2 --> n3/);
  assert.match(text, /choose ×2/);
  assert.match(text, /class n0,n1 visited/);
  assert.match(text, /class n2 active/);
});

Deno.test("labels cannot break out of their quotes", () => {
  const lines = drawGraph(graph).split("\n");
  const line = lines.find((one) => one.includes("quoted"))!;
  assert.ok(!/[<>\n]|"[^|]*"[^|]*"/.test(line.replace(/-->\||\|/g, "")), line);
  assert.ok(!lines.some((one) => one.startsWith("click")));
});
