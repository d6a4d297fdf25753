/** LangGraph.js with its PostgreSQL checkpointer; every step durable before the next (sync). */

import { step, STEPS, type Subject } from "./subject.ts";

/** Packages, pinned; they live in Deno's cache, outside the tree. */
const GRAPH = "npm:@langchain/langgraph@1.4.14";
const SAVER = "npm:@langchain/langgraph-checkpoint-postgres@1.0.5";

/** Opens LangGraph on an empty database. `durability`: sync, async or exit. */
export async function openLanggraph(url: string, durability = "sync"): Promise<Subject> {
  const { StateGraph, Annotation } = await import(GRAPH);
  const { PostgresSaver } = await import(SAVER);
  const saver = PostgresSaver.fromConnString(url);
  saver.pool.options.max = 16;
  await saver.setup();
  const State = Annotation.Root({
    data: Annotation({
      reducer: (a: unknown, b: unknown) => ({ ...a as object, ...b as object }),
      default: () => ({}),
    }),
  });
  let graph = new StateGraph(State);
  for (const name of STEPS) {
    graph = graph.addNode(
      name,
      (state: { data: Record<string, unknown> }) => ({ data: { [name]: step(state.data, name) } }),
    );
  }
  ["__start__", ...STEPS].forEach((name, at) => graph.addEdge(name, STEPS[at] ?? "__end__"));
  const app = graph.compile({ checkpointer: saver });
  return {
    async run() {
      await app.invoke({ data: { x: 1 } }, {
        configurable: { thread_id: crypto.randomUUID() },
        durability,
        recursionLimit: 100,
      });
    },
    close: () => saver.end(),
  };
}
