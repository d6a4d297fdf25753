/**
 * Calling a tool: checked arguments in, data out.
 *
 * @module
 */
import { type JsonSchema, SchemaError, validate } from "../../workflow/json_schema.ts";
import { storable } from "../../workflow/storable.ts";
import { storableFault } from "../../workflow/storable_fault.ts";
import { callFunction } from "./function_tool.ts";
import { callHttps } from "./https_tool.ts";
import { INTERNAL } from "./internal_tools.ts";
import { ConfirmationNeeded, leaveFor } from "./may_call.ts";
import { callSql } from "./rpc_tool.ts";
import { findTool } from "./registry.ts";
import { type ToolContext, type ToolDefinition, ToolError, type ToolHandler } from "./tool.ts";

/** The largest result that is kept, characters of JSON. */
const MAX_RESULT = 512 * 1024;

/**
 * Calls the tool `name`. The arguments are checked first, then whether the run may call it at all; the
 * handler adds secrets afterwards, so neither the graph nor a model ever sees one.
 *
 * @throws {ToolError} `tool_not_found`, `arguments_invalid`, `tool_not_granted`, `tool_refused`, or what
 *   the handler says; {ConfirmationNeeded}
 */
export async function callTool(
  name: string,
  args: unknown,
  context: ToolContext,
): Promise<unknown> {
  const definition = await findTool(context.admin, name);
  if (!definition) {
    throw new ToolError("tool_not_found", `There is no enabled tool named "${name}".`);
  }
  const checked = checkArguments(definition, args);
  checkLeave(definition, checked, context);
  context.signal.throwIfAborted();
  const given = await handlerOf(definition)(checked, context, definition) ?? null;
  const fault = storableFault(given);
  if (fault) throw new ToolError("result_invalid", `The result of ${name} ${fault}.`);
  const result = storable(given);
  if (JSON.stringify(result).length > MAX_RESULT) {
    throw new ToolError(
      "result_too_large",
      `The result of ${name} is more than ${MAX_RESULT} characters.`,
    );
  }
  return result;
}

function checkLeave(definition: ToolDefinition, args: unknown, context: ToolContext) {
  const { name } = definition;
  const leave = leaveFor(definition, context.grants);
  if (leave === "allow") return;
  if (leave === "refuse") {
    throw new ToolError(
      "tool_not_granted",
      `The tool ${name} has side effects and this run is not granted it: name it in tools.allow.`,
    );
  }
  const { key, confirmed } = context;
  if (!confirmed) {
    throw new ToolError(
      "tool_not_granted",
      `Nobody can be asked about ${name} inside a map: name it in tools.allow.`,
    );
  }
  const said = Object.hasOwn(confirmed, key) ? confirmed[key] : undefined;
  if (said === undefined) throw new ConfirmationNeeded({ key, tool: name, arguments: args });
  if (!said) throw new ToolError("tool_refused", `A person refused the call of ${name}.`);
}

function checkArguments(definition: ToolDefinition, args: unknown): Record<string, unknown> {
  try {
    const issues = typeof args === "object" && args !== null && !Array.isArray(args)
      ? validate(definition.schema as JsonSchema, args)
      : [{ pointer: "", code: "wrong_type", detail: "Arguments are an object." }];
    if (issues.length === 0) return args as Record<string, unknown>;
    const first = issues[0]!;
    throw new ToolError(
      "arguments_invalid",
      `The arguments of ${definition.name} do not fit: ${first.pointer || "/"} ${first.detail}`,
      { issues },
    );
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new ToolError(
      "tool_schema_invalid",
      `The schema of ${definition.name} cannot be used at ${
        error.pointer || "/"
      }: ${error.message}`,
    );
  }
}

function handlerOf(definition: ToolDefinition): ToolHandler {
  const path = definition.function_path;
  if (path.startsWith("function:")) return callFunction;
  if (path.startsWith("rpc:")) return callSql;
  if (path.startsWith("https://")) return callHttps;
  const name = path.slice("internal:".length);
  const internal = path.startsWith("internal:") && Object.hasOwn(INTERNAL, name)
    ? INTERNAL[name]
    : undefined;
  if (internal) return internal;
  throw new ToolError("tool_not_supported", `Nothing here handles ${path}.`);
}
