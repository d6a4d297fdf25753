/**
 * A person's answer, checked against what the step asks for.
 *
 * @module
 */
import { rpc } from "../db/rpc.ts";
import { Problem } from "../http/problem.ts";
import { type JsonSchema, SchemaError, validate } from "../workflow/json_schema.ts";
import type { Admin, Waiting } from "./engine.ts";

/**
 * Checks `value` against the JSON Schema of the human step it is for, if the step has one. Whether
 * there is such a step at all is the engine's to say.
 *
 * @throws {Problem} 422 `answer_invalid` with one entry per rule; 404 as the engine
 */
export async function checkAnswer(
  admin: Admin,
  userId: string | null,
  runId: string,
  value: unknown,
  seq: number | undefined,
): Promise<void> {
  const { waiting = [] } = await rpc<{ waiting?: Waiting[] }>(admin, "mira_read_run", {
    p_user_id: userId,
    p_run_id: runId,
  });
  const open = waiting.filter((one) =>
    one.kind === "human" && (seq === undefined || one.seq === seq)
  );
  const schema = open.length === 1 ? open[0]!.schema : undefined;
  if (schema === undefined || schema === null) return;
  try {
    const issues = validate(schema as JsonSchema, value);
    if (issues.length === 0) return;
    throw new Problem(
      422,
      "answer_invalid",
      `The step wants another answer: ${issues[0]!.detail}`,
      {
        errors: issues.map((issue) => ({ ...issue, pointer: `/value${issue.pointer}` })),
      },
    );
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new Problem(
      422,
      "answer_schema_invalid",
      `The step's schema cannot be used: ${error.message}`,
    );
  }
}
