/** Keeps a worker with the functions running, and swaps it when it dies or their code changes. */

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
 * @param options.functions slug → URL of its module; by default the folders of `supabase/functions`.
 * @param options.watch swap the worker when a file of the functions or the shared code changes.
 * @param options.onReload told after each swap; `error` when the new code does not boot, in which
 *   case the old code goes on answering.
 * @param options.onDeath told what nobody caught when it ended the worker, as it ends an isolate of
 *   the platform: what it was doing is lost, and the next request meets a new one.
 */
export async function hostFunctions(
  env: Record<string, string>,
  options: {
    functions?: Record<string, string>;
    watch?: boolean;
    onReload?: (error?: string) => void;
    onDeath?: (error: string) => void;
  } = {},
): Promise<FunctionHost> {
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  const functions = options.functions ?? await ownFunctions();

  const start = (): Promise<Isolate> => {
    const isolate = boot({ functions }, (error) => {
      options.onDeath?.(error);
      if (current !== isolate) return; // it had been replaced
      current = start();
      current.catch((error) => options.onReload?.(error.message));
    });
    return isolate;
  };
  let current = start();
  await current;

  const reload = async () => {
    const next = start();
    try {
      await next;
    } catch (error) {
      return options.onReload?.((error as Error).message);
    }
    current.then(({ worker }) => delay(GRACE_MS).then(() => worker.terminate()), () => {});
    current = next;
    options.onReload?.();
  };
  const watcher = options.watch ? watch(reload) : undefined;
  return {
    slugs: Object.keys(functions).sort(),
    origin: async () => `http://127.0.0.1:${(await current).port}`,
    reload,
    close: () => {
      watcher?.close();
      current.then(({ worker }) => worker.terminate(), () => {});
    },
  };
}

/** The functions of this project. */
async function ownFunctions(): Promise<Record<string, string>> {
  const functions: Record<string, string> = {};
  for await (const entry of Deno.readDir(FUNCTIONS_DIR)) {
    if (!entry.isDirectory || entry.name.startsWith("_")) continue;
    functions[entry.name] = new URL(`${entry.name}/index.ts`, FUNCTIONS_DIR).href;
  }
  return functions;
}

interface Isolate {
  worker: Worker;
  port: number;
}

/** A worker that answers; `onDeath` hears what ended it later. */
function boot(order: WorkerOrder, onDeath: (error: string) => void): Promise<Isolate> {
  const worker = new Worker(new URL("./functions_worker.ts", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => {
      if ("failed" in data) {
        worker.terminate();
        return reject(new Error(data.failed));
      }
      worker.onerror = (event) => {
        event.preventDefault();
        worker.terminate();
        onDeath(event.message);
      };
      resolve({ worker, port: data.port });
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
