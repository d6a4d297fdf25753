/**
 * Tools that are SQL functions: `rpc:<name>`.
 *
 * @module
 */
import { rpc, type RpcCall } from "../../db/rpc.ts";
import { Problem } from "../../http/problem.ts";
import { type ToolContext, type ToolDefinition, ToolError } from "./tool.ts";

/**
 * Calls a function of the public schema as the service. The operator's table is the allow-list; the
 * user of the run is always passed as the parameter `user_parameter` (option, default `p_user_id`;
 * null for a function that is about nobody) and wins over one in the arguments. `key_parameter`
 * names the parameter that takes the idempotency key.
 */
export async function callSql(
  args: Record<string, unknown>,
  context: ToolContext,
  definition: ToolDefinition,
): Promise<unknown> {
  const name = definition.function_path.slice("rpc:".length);
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name)) {
    throw new ToolError("tool_not_supported", `"${name}" is not the name of a function.`);
  }
  const { user_parameter: user = "p_user_id", key_parameter: key } = definition.options;
  try {
    const named = {
      ...args,
      ...(user === null ? {} : { [String(user)]: context.userId }),
      ...(key === undefined ? {} : { [String(key)]: context.key }),
    };
    // an operator's function need not be one that the types know
    return await rpc(context.admin, ...[name, named] as unknown as RpcCall);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new ToolError(error.code, error.message, { retryable: error.status >= 500 });
  }
}
