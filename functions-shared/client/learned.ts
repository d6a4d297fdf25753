import type { Transport } from "./transport.ts";
export interface Learned {
  learn(): Promise<unknown>;
}
export function learned(t: Transport): Learned {
  return { learn: () => t.json("learn-patterns", { body: {} }) };
}
