/**
 * One call to a chat model.
 *
 * @module
 */
import type OpenAI from "openai";
import type { ChatMessage, ModelReply, ToolOffer } from "../workflow/chat_messages.ts";
import { storableText } from "../workflow/storable.ts";
import { costOf, priceOf, type Usage } from "../workflow/usage.ts";
import type { ChatEndpoint } from "./chat_endpoint.ts";
import { ChatError } from "./chat_error.ts";
import { readCompletion, readUsage } from "./chat_reply.ts";
import { collect } from "./chat_stream.ts";
import { hideKeyInReply, KeyFilter } from "./hide_key.ts";
import { asChatError } from "./chat_failure.ts";

/** What to ask. */
export interface ChatRequest {
  messages: ChatMessage[];
  tools?: ToolOffer[];
  /** JSON Schema that the answer must have; services without the feature get it in words */
  answer?: { name: string; schema: unknown };
  temperature?: number;
  /** most tokens of the answer */
  max_tokens?: number;
  /** reaches services that honour `Idempotency-Key` */
  idempotencyKey?: string;
}

/** How to ask. */
export interface ChatOptions {
  /** called with each piece of text as it is written; asking for it streams the answer */
  onToken?: (text: string) => void;
  /** ends the call; the reason becomes `llm_timed_out` */
  signal?: AbortSignal;
  /** attempts in all, default 3: 429, 5xx and lost connections are tried again */
  attempts?: number;
  /** makes the requests instead of the global fetch */
  fetch?: (url: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** the longest one attempt may take, milliseconds, default 75 000: what a worker has left to live */
  timeoutMs?: number;
  /** the longest wait between attempts, milliseconds, default 10 000; a longer one is thrown */
  patienceMs?: number;
}

/** The answer and what it cost. */
export interface ChatAnswer {
  reply: ModelReply;
  usage: Usage;
  model: string;
}

/**
 * Asks a model once. Rate limits and server errors are tried again after the time the service
 * names in `Retry-After` (else 0.5 s, doubling, with jitter); when that is longer than the caller's
 * patience the error is thrown with `retryAfterMs`, for the engine to schedule.
 *
 * @throws {ChatError}
 */
export async function chat(
  endpoint: ChatEndpoint,
  request: ChatRequest,
  options: ChatOptions = {},
): Promise<ChatAnswer> {
  const { default: Client } = await import("openai");
  const client = new Client({
    apiKey: endpoint.key,
    baseURL: endpoint.url,
    // organisation and project come from the environment unless told otherwise
    organization: null,
    project: null,
    maxRetries: 0,
    logLevel: "off",
    ...(options.fetch ? { fetch: options.fetch } : {}),
  });
  const attempts = options.attempts ?? 3;
  for (let attempt = 1;; attempt++) {
    let written = false;
    const limit = AbortSignal.timeout(options.timeoutMs ?? 75_000);
    const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
    try {
      return await ask(client, endpoint, request, {
        ...options,
        signal,
        ...(options.onToken
          ? { onToken: (text: string) => (written = true, options.onToken!(text)) }
          : {}),
      });
    } catch (error) {
      const failure = asChatError(error, signal, endpoint.key);
      const wait = failure.retryAfterMs ?? 500 * 2 ** (attempt - 1) * (0.5 + Math.random());
      // tokens that were already shown cannot be taken back: that attempt is the last
      const again = failure.retryable && failure.code !== "llm_timed_out" && !written;
      if (!again || attempt >= attempts || wait > (options.patienceMs ?? 10_000)) throw failure;
      await pause(wait, options.signal);
    }
  }
}

async function ask(
  client: OpenAI,
  endpoint: ChatEndpoint,
  request: ChatRequest,
  options: ChatOptions,
): Promise<ChatAnswer> {
  const body = {
    model: endpoint.model,
    messages: request.messages.map(wireMessage),
    ...(request.tools?.length
      ? {
        tools: request.tools.map((tool) => ({ type: "function" as const, function: { ...tool } })),
      }
      : {}),
    ...(request.answer
      ? {
        response_format: {
          type: "json_schema" as const,
          json_schema: {
            name: request.answer.name,
            schema: request.answer.schema as Record<string, unknown>,
          },
        },
      }
      : {}),
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.max_tokens === undefined ? {} : answerLimit(endpoint, request.max_tokens)),
  };
  const how = {
    ...(options.signal ? { signal: options.signal } : {}),
    ...(request.idempotencyKey ? { headers: { "idempotency-key": request.idempotencyKey } } : {}),
  };
  const completions = client.chat.completions;
  const shown = options.onToken ? new KeyFilter(endpoint.key, options.onToken) : undefined;
  const { reply, usage, model } = shown
    ? await collect(
      await completions.create(
        { ...body, stream: true, stream_options: { include_usage: true } },
        how,
      ),
      (text) => shown.push(text),
    )
    : readCompletion(await completions.create({ ...body, stream: false }, how));
  shown?.end();
  const { input, output } = readUsage(usage, body.messages, reply);
  const price = priceOf(endpoint);
  return {
    reply: hideKeyInReply(reply, endpoint.key),
    usage: { input_tokens: input, output_tokens: output, cost_usd: costOf(price, input, output) },
    model: typeof model === "string" && model !== "" ? storableText(model) : endpoint.model,
  };
}

/** OpenAI's newer models refuse the old name of the limit, other services do not know the new one. */
function answerLimit(endpoint: ChatEndpoint, tokens: number) {
  return new URL(endpoint.url).hostname === "api.openai.com"
    ? { max_completion_tokens: tokens }
    : { max_tokens: tokens };
}

function wireMessage(message: ChatMessage): OpenAI.ChatCompletionMessageParam {
  if (message.role !== "assistant") return message;
  const { tool_calls, content } = message;
  if (!tool_calls) return { role: "assistant", content };
  return {
    role: "assistant",
    content: content || null,
    tool_calls: tool_calls.map(({ id, name, arguments: args }) => ({
      id,
      type: "function",
      function: { name, arguments: args },
    })),
  };
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    function done() {
      signal?.removeEventListener("abort", ended);
      resolve();
    }
    function ended() {
      clearTimeout(timer);
      reject(new ChatError("llm_timed_out", "The time for this step ended between two attempts."));
    }
    if (signal?.aborted) ended();
    else signal?.addEventListener("abort", ended, { once: true });
  });
}
