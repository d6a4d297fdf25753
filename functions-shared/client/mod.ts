export { createMira, type Mira, type MiraStats } from "./create_mira.ts";
export type { AutocaptureOptions, ClientProblem, MiraOptions, SupabaseLike } from "./options.ts";
export { MiraError } from "./transport.ts";
