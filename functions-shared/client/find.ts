import type { Transport } from "./transport.ts";
export interface Finder {
  find(x: unknown): Promise<unknown>;
}
export function finder(t: Transport): Finder {
  return { find: (body) => t.json("find-patterns", { body }) };
}
