/** A stack with a model, a web service and a canary that nobody may reach: what runs meet outside. */

import { startCountingServer } from "../../support/counting_server.ts";
import { startLlmServer } from "../../support/llm_server.ts";
import { startStack } from "../../support/stack.ts";
import { llm } from "./graphs.ts";

/** The operator's key for the model; it may be seen by the model alone. */
export const OPERATOR_KEY = "sk-operator-canary-0123456789";

/** An answer whose shape the test looks at. */
// deno-lint-ignore no-explicit-any
export type Json = any;

const model = startLlmServer();
const canary = startCountingServer();
const service = startCountingServer(({ path }, count) => {
  if (path.startsWith("/api/flaky") && count % 2 === 1) {
    return new Response(null, { status: 503, headers: { "retry-after": "0" } });
  }
  if (path.startsWith("/api/injected")) return Response.json({ text: said.text });
  if (path.startsWith("/api/odd")) {
    return new Response(said.json, { headers: { "content-type": "application/json" } });
  }
  if (path.startsWith("/api/redirect")) {
    return new Response(null, { status: 302, headers: { location: canary.origin } });
  }
  return Response.json({ count, path });
});
/** What the service's document says, and an answer of it as it is. */
const said = { text: "", json: "" };

const stack = await startStack({
  env: {
    MIRA_LLM_URL: model.url,
    MIRA_LLM_KEY: OPERATOR_KEY,
    MIRA_LLM_MODEL: "test-model",
    MIRA_LLM_PRICES: JSON.stringify({ "test-model": { input: 1000, output: 1000 } }),
    MIRA_HTTP_ALLOW: JSON.stringify([
      { host: service.host, path_prefix: "/api", methods: ["GET", "POST"] },
    ]),
    MIRA_HTTP_TRUSTED_ORIGINS: `${service.origin}, ${model.origin}`,
  },
});
const ada = await stack.newUser();
Deno.test.afterAll(async () => {
  await stack.close();
  await Promise.all([model.close(), service.close(), canary.close()]);
});

/** Runs an inline workflow as Ada and gives back the whole answer. */
async function run(
  workflow: unknown,
  input: unknown = {},
  more: Record<string, unknown> = {},
): Promise<Json> {
  const response = await stack.fetch("/functions/v1/run-workflow", {
    as: ada,
    json: { workflow, input, ...more },
  });
  return await response.json();
}

/** Forgets what was said and what arrived. */
function fresh() {
  model.reset();
  service.arrivals.length = 0;
  canary.arrivals.length = 0;
}

/** A model node that may call the web and shape values, and is tried again soon. */
const helper = llm("help", {
  prompt: "Do it.",
  tools: ["http_request", "compose"],
  retry: { max_attempts: 3, base_ms: 50, jitter: 0 },
});
/** A model's wish to post to the service. */
const post = (path: string) => ({
  name: "http_request",
  arguments: { url: `${service.origin}/api/${path}`, method: "POST", body: { n: 1 } },
});

export { ada, canary, fresh, helper, model, post, run, said, service, stack };
