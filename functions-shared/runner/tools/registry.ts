/**
 * The tools of this installation.
 *
 * @module
 */
import { problemFromSql } from "../../db/problem_from_sql.ts";
import { ANSWER_WITHIN_MS } from "../../db/rpc.ts";
import type { Admin } from "../engine.ts";
import type { ToolDefinition } from "./tool.ts";

const FRESH_MS = 30_000;
const MISSED_MS = 1_000;

const cache = new WeakMap<Admin, { at: number; tools: Promise<Map<string, ToolDefinition>> }>();

/**
 * The definition of a tool, or undefined when there is none or it is switched off. The list is kept
 * for 30 s, so that is how long a change may take to be heard; a new tool is heard of within one.
 */
export async function findTool(admin: Admin, name: string): Promise<ToolDefinition | undefined> {
  const tool = (await list(admin, FRESH_MS)).get(name);
  return tool ?? (await list(admin, MISSED_MS)).get(name);
}

function list(admin: Admin, freshMs: number): Promise<Map<string, ToolDefinition>> {
  let held = cache.get(admin);
  if (!held || performance.now() - held.at > freshMs) {
    held = { at: performance.now(), tools: load(admin) };
    cache.set(admin, held);
    held.tools.catch(() => cache.delete(admin));
  }
  return held.tools;
}

async function load(admin: Admin): Promise<Map<string, ToolDefinition>> {
  const { data, error } = await admin.from("mira_tool_definitions")
    .select("name, description, schema, function_path, is_enabled, is_read_only, options").eq(
      "is_enabled",
      true,
    )
    .abortSignal(AbortSignal.timeout(ANSWER_WITHIN_MS));
  if (error) throw problemFromSql(error);
  return new Map((data as ToolDefinition[]).map((tool) => [tool.name, tool]));
}
