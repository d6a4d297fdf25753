/** OpenWorkflow: runs are queued, a worker in the same process polls for them. */

import { step, STEPS, type Subject } from "./subject.ts";

const PACKAGE = "npm:openworkflow@0.10.1";

/** Opens OpenWorkflow on an empty database. */
export async function openOpenworkflow(url: string): Promise<Subject> {
  const { OpenWorkflow } = await import(PACKAGE);
  const { BackendPostgres } = await import(`${PACKAGE}/postgres`);
  const backend = await BackendPostgres.connect(url);
  const client = new OpenWorkflow({ backend });
  const waiting = new Map<number, () => void>();
  const flow = client.defineWorkflow(
    { name: "bench" },
    async (
      { input, step: steps }: {
        input: { index: number };
        step: { run(o: { name: string }, f: () => unknown): Promise<unknown> };
      },
    ) => {
      const state: Record<string, unknown> = { ...input };
      for (const name of STEPS) state[name] = await steps.run({ name }, () => step(state, name));
      waiting.get(input.index)?.();
      return state;
    },
  );
  const worker = client.newWorker({ concurrency: 16 });
  await worker.start();
  let next = 0;
  return {
    async run() {
      const index = next++;
      // told by the workflow's own last line: its result poll would add up to a second
      const done = new Promise<void>((resolve) => waiting.set(index, resolve));
      await flow.run({ index });
      await done;
      waiting.delete(index);
    },
    async close() {
      await worker.stop();
      await backend.stop();
    },
  };
}
