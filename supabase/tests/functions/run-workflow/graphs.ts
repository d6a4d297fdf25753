/** Small graphs for the tests of run-workflow. */

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

/** A tool node. */
export function tool(name: string, uses: string, args: Record<string, unknown> = {}, config = {}) {
  return { type: "tool", name, config: { tool: uses, arguments: args, ...config } };
}

/** An llm node. */
export function llm(name: string, config: Record<string, unknown>) {
  return { type: "llm", name, config };
}

/** Events of a server-sent stream that has ended. */
export function readEvents(text: string) {
  return text.split("\n\n").filter((block) => /^(event|data|id):/m.test(block)).map((block) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    return { id: field("id"), event: field("event"), data: JSON.parse(field("data") ?? "null") };
  });
}
