/**
 * Tools that are edge functions of the project: `function:<slug>`.
 *
 * @module
 */
import { secretKey } from "../secret_key.ts";
import { readReply } from "./http_reply.ts";
import { type ToolContext, type ToolDefinition, ToolError } from "./tool.ts";

/**
 * Posts the arguments to the function as the service, with the user named in the body. The user of
 * the run always wins over one in the arguments. Options: `path` below the slug, `user_field` (the
 * body's field for the user, default `user_id`; null leaves it out).
 */
export async function callFunction(
  args: Record<string, unknown>,
  context: ToolContext,
  definition: ToolDefinition,
): Promise<unknown> {
  const slug = definition.function_path.slice("function:".length);
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(slug)) {
    throw new ToolError("tool_not_supported", `"${slug}" is not the name of a function.`);
  }
  const { path = "", user_field: userField = "user_id" } = definition.options;
  const base = context.read("SUPABASE_URL");
  const secret = secretKey(context.read, "default");
  if (!base || !secret) {
    throw new ToolError(
      "not_configured",
      "SUPABASE_URL and SUPABASE_SECRET_KEYS are needed to call functions.",
    );
  }
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(60_000)]);
  let response: Response;
  try {
    response = await fetch(`${base}/functions/v1/${slug}${path}`, {
      method: "POST",
      redirect: "error",
      headers: {
        apikey: secret,
        "content-type": "application/json",
        "idempotency-key": context.key,
      },
      body: JSON.stringify(
        userField === null ? args : { ...args, [String(userField)]: context.userId },
      ),
      signal,
    });
  } catch {
    context.signal.throwIfAborted();
    throw new ToolError("request_failed", `The function ${slug} could not be reached.`, {
      retryable: true,
    });
  }
  return readReply(slug, response.status, response.headers, await response.text()).body;
}
