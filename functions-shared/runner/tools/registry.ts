/**
 * The tools of this installation.
 *
 * @module
 */
import { problemFromSql } from "../../db/problem_from_sql.ts";
import type { Admin } from "../engine.ts";
import type { ToolDefinition } from "./tool.ts";

const FRESH_MS = 30_000;

const cache = new WeakMap<Admin, { at: number; tools: Promise<Map<string, ToolDefinition>> }>();

/** The definition of a tool, or undefined when there is none or it is switched off. Kept 30 s. */
export async function findTool(admin: Admin, name: string): Promise<ToolDefinition | undefined> {
  let held = cache.get(admin);
  if (!held || performance.now() - held.at > FRESH_MS) {
    held = { at: performance.now(), tools: load(admin) };
    cache.set(admin, held);
    held.tools.catch(() => cache.delete(admin));
  }
  return (await held.tools).get(name);
}

async function load(admin: Admin): Promise<Map<string, ToolDefinition>> {
  const { data, error } = await admin.from("mira_tool_definitions")
    .select("name, description, schema, function_path, is_enabled, options").eq("is_enabled", true);
  if (error) throw problemFromSql(error);
  return new Map((data as ToolDefinition[]).map((tool) => [tool.name, tool]));
}
