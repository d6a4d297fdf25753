/**
 * Whether a run may call a tool.
 *
 * @module
 */
import type { ConfirmationAsk, ToolGrant } from "../engine.ts";
import type { ToolDefinition } from "./tool.ts";

/** Yes, only if a person says so, or no. */
export type Leave = "allow" | "confirm" | "refuse";

const STRICTER: Leave[] = ["refuse", "confirm", "allow"];

/**
 * What the run's grants say to a tool: the strictest of them. A tool that changes nothing needs no
 * grant; a run without grants may call what its graph names. A grant that cannot be read grants nothing.
 */
export function leaveFor(tool: ToolDefinition, grants: ToolGrant[] | undefined): Leave {
  if (tool.is_read_only || grants === undefined) return "allow";
  const said = grants.map(({ allow, otherwise }): Leave => {
    if (Array.isArray(allow) && allow.includes(tool.name)) return "allow";
    return otherwise === "confirm" ? "confirm" : "refuse";
  });
  return STRICTER.find((leave) => said.includes(leave)) ?? "refuse";
}

/** A person must be asked first: the step ends here and goes on with the answer. */
export class ConfirmationNeeded extends Error {
  override readonly name = "ConfirmationNeeded";
  constructor(readonly ask: ConfirmationAsk) {
    super(`A person must allow ${ask.tool} first.`);
  }
}
