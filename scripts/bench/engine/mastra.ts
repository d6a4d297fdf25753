/** Mastra workflows with PostgreSQL storage: the whole snapshot is written after every step. */

import { step, STEPS, type Subject } from "./subject.ts";

const CORE = "npm:@mastra/core@1.71.0";
const STORE = "npm:@mastra/pg@1.27.1";
const ZOD = "npm:zod@4.6.7";

/** Opens Mastra on an empty database. */
export async function openMastra(url: string): Promise<Subject> {
  const { Mastra } = await import(CORE);
  const { createStep, createWorkflow } = await import(`${CORE}/workflows`);
  const { PostgresStore } = await import(STORE);
  const { z } = await import(ZOD);
  const schema = z.record(z.string(), z.any());
  let flow = createWorkflow({ id: "bench", inputSchema: schema, outputSchema: schema });
  for (const name of STEPS) {
    flow = flow.then(createStep({
      id: name,
      inputSchema: schema,
      outputSchema: schema,
      execute: ({ inputData }: { inputData: Record<string, unknown> }) =>
        Promise.resolve({ ...inputData, [name]: step(inputData, name) }),
    }));
  }
  flow.commit();
  const storage = new PostgresStore({ id: "bench", connectionString: url, max: 16 });
  const mastra = new Mastra({ workflows: { bench: flow }, storage, logger: false });
  await storage.init?.();
  const workflow = mastra.getWorkflow("bench");
  return {
    async run() {
      const run = await workflow.createRun();
      const result = await run.start({ inputData: { x: 1 } });
      if (result.status !== "success") throw new Error(`ended ${result.status}`);
    },
    close: () => storage.close?.() ?? Promise.resolve(),
  };
}
