/** DBOS: a workflow function whose steps are recorded in its system database. */

import { step, STEPS, type Subject } from "./subject.ts";

const PACKAGE = "npm:@dbos-inc/dbos-sdk@5.3.0";

/** Opens DBOS on an empty database. */
export async function openDbos(url: string): Promise<Subject> {
  const { DBOS } = await import(PACKAGE);
  DBOS.setConfig({
    name: "bench",
    systemDatabaseUrl: url,
    logLevel: "error",
    systemDatabasePoolSize: 16,
  });
  const workflow = DBOS.registerWorkflow(async (input: Record<string, unknown>) => {
    const state = { ...input };
    for (const name of STEPS) {
      state[name] = await DBOS.runStep(() => Promise.resolve(step(state, name)), { name });
    }
    return state;
  }, { name: "bench" });
  await DBOS.launch();
  return {
    async run() {
      await workflow({ x: 1 });
    },
    close: () => DBOS.shutdown(),
  };
}
