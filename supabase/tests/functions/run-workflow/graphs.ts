/** Small graphs for the tests of run-workflow. */

import type { TestUser } from "../../support/stack.ts";

interface Node {
  type: string;
  name: string;
  config?: Record<string, unknown>;
}

/** start → the given nodes one after another → end. */
export function chain(...nodes: Node[]) {
  const all: Node[] = [{ type: "start", name: "begin" }, ...nodes, { type: "end", name: "done" }];
  return {
    name: "chain",
    nodes: all,
    edges: all.slice(1).map((node, i) => ({ source: all[i]!.name, target: node.name })),
  };
}

/** Stores a graph as somebody's active workflow and answers with its id. */
export async function stored(owner: TestUser, graph: ReturnType<typeof chain>): Promise<string> {
  const { data: workflow } = await owner.client.from("mira_workflows")
    .insert({ name: graph.name, user_id: owner.id }).select().single().throwOnError();
  const { data: nodes } = await owner.client.from("mira_workflow_nodes").insert(
    graph.nodes.map((node) => ({ config: {}, ...node, workflow_id: workflow.id })),
  ).select().throwOnError();
  const id = (name: string) => nodes.find((node: { name: string }) => node.name === name).id;
  await owner.client.from("mira_workflow_edges").insert(graph.edges.map((edge) => ({
    workflow_id: workflow.id,
    source_node_id: id(edge.source),
    target_node_id: id(edge.target),
  }))).throwOnError();
  await owner.client.from("mira_workflows").update({ is_active: true }).eq("id", workflow.id)
    .throwOnError();
  return workflow.id;
}

/** A tool node. */
export function tool(name: string, uses: string, args: Record<string, unknown> = {}, config = {}) {
  return { type: "tool", name, config: { tool: uses, arguments: args, ...config } };
}

/** An llm node. */
export function llm(name: string, config: Record<string, unknown>) {
  return { type: "llm", name, config };
}

/** A step that asks a person, and the state that its question reads. */
export const asks = {
  type: "human",
  name: "approve",
  config: { prompt: "Pay {{amount}} to {{who.name}}?" },
};
export const payment = { amount: 12, who: { name: "Bob" } };

/** A graph with a decision: what is bigger than 5 is shouted. */
export const routed = {
  name: "routed",
  nodes: [
    { type: "start", name: "begin" },
    tool("double", "compose", { value: "{{n}}", text: "n is {{n}}" }),
    {
      type: "router",
      name: "size",
      config: { conditions: [{ label: "big", when: "$.double.value > 5" }], default: "small" },
    },
    tool("shout", "log", { message: "{{double.text}}", level: "warning" }),
    { type: "end", name: "done", config: { output: { text: "$.double.text" } } },
  ],
  edges: [
    { source: "begin", target: "double" },
    { source: "double", target: "size" },
    { source: "size", target: "shout", condition_label: "big" },
    { source: "size", target: "done", condition_label: "small" },
    { source: "shout", target: "done" },
  ],
};

/** Events of a server-sent stream that has ended. */
export function readEvents(text: string) {
  return text.split("\n\n").filter((block) => /^(event|data|id):/m.test(block)).map((block) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    return { id: field("id"), event: field("event"), data: JSON.parse(field("data") ?? "null") };
  });
}
