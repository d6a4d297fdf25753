/**
 * What a start brings, checked by the JSON Schemas it falls under.
 *
 * @module
 */
import type { InlineWorkflow, RunRequest } from "../contracts/run_workflow.ts";
import { rpc } from "../db/rpc.ts";
import { Problem, type ProblemField } from "../http/problem.ts";
import { assertSchema, type JsonSchema, SchemaError, validate } from "../workflow/json_schema.ts";
import type { Admin } from "./engine.ts";

const FRESH_MS = 30_000;
const MOST_KEPT = 500;

const cache = new WeakMap<Admin, Map<string, { at: number; schema: JsonSchema | null }>>();

/**
 * Checks the schemas of a graph that was sent along, and the input by the graph's `input_schema`. That of
 * a stored workflow is kept for 30 s, so that is how long a new version may take to be heard here.
 *
 * @throws {Problem} 422 `workflow_invalid` or `input_invalid` with one entry per mistake
 */
export async function checkInput(admin: Admin, userId: string, request: RunRequest): Promise<void> {
  const { workflow, workflow_id: id, input } = request;
  if (workflow) checkSchemas(workflow);
  const schema = workflow ? workflow.input_schema ?? null : await storedSchema(admin, userId, id!);
  if (schema === null) return;
  let errors: ProblemField[];
  try {
    errors = validate(schema as JsonSchema, input);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    const detail = `The input_schema of the workflow cannot be used: ${error.message}`;
    throw new Problem(422, "input_schema_invalid", detail, {
      errors: [{ pointer: "/workflow_id", code: "schema_invalid", detail: error.pointer }],
    });
  }
  if (errors.length === 0) return;
  throw new Problem(
    422,
    "input_invalid",
    `The workflow wants another input: ${errors[0]!.detail}`,
    {
      errors: errors.map((issue) => ({ ...issue, pointer: `/input${issue.pointer}` })),
    },
  );
}

function checkSchemas(workflow: InlineWorkflow) {
  const errors = schemaProblems(workflow).map(({ pointer, code, detail }) => ({
    pointer,
    code,
    detail,
  }));
  const [first] = errors;
  if (first) throw new Problem(422, "workflow_invalid", first.detail, { errors });
}

/** A schema of a graph that is none. */
export interface SchemaProblem extends ProblemField {
  severity: "error";
  /** the node it belongs to; none for the input's */
  node?: string;
}

/** What is wrong with the JSON Schemas of a graph, pointed at; patterns only this can judge. */
export function schemaProblems({ nodes, input_schema }: InlineWorkflow): SchemaProblem[] {
  const found: SchemaProblem[] = [];
  const look = (schema: unknown, pointer: string, node?: string) => {
    if (schema === undefined || schema === null) return;
    try {
      assertSchema(schema as JsonSchema);
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      found.push({
        pointer: pointer + error.pointer,
        code: "schema_invalid",
        severity: "error",
        detail: error.message,
        ...(node === undefined ? {} : { node }),
      });
    }
  };
  look(input_schema, "/workflow/input_schema");
  nodes.forEach(({ type, name, config }, i) => {
    const at = `/workflow/nodes/${i}/config`;
    if (type === "human") look(config["schema"], `${at}/schema`, name);
    if (type === "llm") look(config["response_schema"], `${at}/response_schema`, name);
    if (type !== "map") return;
    const each = config["each"] as { config?: Record<string, unknown> } | null | undefined;
    look(each?.config?.["response_schema"], `${at}/each/config/response_schema`, name);
  });
  return found;
}

async function storedSchema(admin: Admin, userId: string, id: string): Promise<JsonSchema | null> {
  const kept = cache.get(admin) ?? new Map<string, { at: number; schema: JsonSchema | null }>();
  cache.set(admin, kept);
  const key = `${userId} ${id}`;
  const held = kept.get(key);
  if (held && performance.now() - held.at < FRESH_MS) return held.schema;
  const schema = await rpc<JsonSchema | null>(admin, "mira_input_schema", {
    p_user_id: userId,
    p_workflow_id: id,
  });
  kept.delete(key);
  kept.set(key, { at: performance.now(), schema });
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  return schema;
}
