/** Keeps a worker with the six functions running, and swaps it when their code changes. */

import { delay } from "./delay.ts";
import type { WorkerAnswer, WorkerOrder } from "./functions_worker.ts";

const FUNCTIONS_DIR = new URL("../../supabase/functions/", import.meta.url);
const SHARED_DIR = new URL("../../functions-shared/", import.meta.url);

/** Requests of a replaced worker may take this long to finish. */
const GRACE_MS = 10_000;

/** A running set of functions. */
export interface FunctionHost {
  /** Names of the functions. */
  slugs: string[];
  /** Where they answer now; waits while the first worker boots. */
  origin(): Promise<string>;
  /** Swaps the worker for one with the code as it is on disk. */
  reload(): Promise<void>;
  close(): void;
}

/**
 * @param env variables the functions see, as the platform would set them.
 * @param options.watch swap the worker when a file of the functions or the shared code changes.
 * @param options.onReload told after each swap; `error` when the new code does not boot, in which
 *   case the old code goes on answering.
 */
export async function hostFunctions(
  env: Record<string, string>,
  options: { watch?: boolean; onReload?: (error?: string) => void } = {},
): Promise<FunctionHost> {
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  const functions: Record<string, string> = {};
  for await (const entry of Deno.readDir(FUNCTIONS_DIR)) {
    if (!entry.isDirectory || entry.name.startsWith("_")) continue;
    functions[entry.name] = new URL(`${entry.name}/index.ts`, FUNCTIONS_DIR).href;
  }
  let current = boot({ functions });
  const { failed } = await current.then(
    () => ({ failed: undefined }),
    (error) => ({ failed: error }),
  );
  if (failed) throw failed;

  const reload = async () => {
    const next = boot({ functions });
    const old = await current;
    try {
      await next;
      current = next;
      options.onReload?.();
      delay(GRACE_MS).then(() => old.worker.terminate());
    } catch (error) {
      options.onReload?.((error as Error).message);
    }
  };
  const watcher = options.watch ? watch(reload) : undefined;
  return {
    slugs: Object.keys(functions).sort(),
    origin: async () => `http://127.0.0.1:${(await current).port}`,
    reload,
    close: () => {
      watcher?.close();
      current.then(({ worker }) => worker.terminate());
    },
  };
}

function boot(order: WorkerOrder): Promise<{ worker: Worker; port: number }> {
  const worker = new Worker(new URL("./functions_worker.ts", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => {
      if ("port" in data) return resolve({ worker, port: data.port });
      worker.terminate();
      reject(new Error(data.failed));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    worker.postMessage(order);
  });
}

/** Calls `changed` once per burst of edits to TypeScript or JSON files. */
function watch(changed: () => Promise<void>): Deno.FsWatcher {
  const watcher = Deno.watchFs([FUNCTIONS_DIR.pathname, SHARED_DIR.pathname]);
  (async () => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    for await (const event of watcher) {
      if (event.kind === "access") continue;
      if (!event.paths.some((path) => /\.(ts|json)$/.test(path))) continue;
      clearTimeout(timer);
      timer = setTimeout(changed, 200);
    }
  })();
  return watcher;
}
