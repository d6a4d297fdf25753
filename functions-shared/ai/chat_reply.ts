/**
 * A model service's answer, read with distrust: "OpenAI-compatible" is said of many that are not
 * quite, and the address may be a user's own.
 *
 * @module
 */
import type { ModelReply, ToolCall } from "../workflow/chat_messages.ts";
import { storableText } from "../workflow/storable.ts";
import { estimateTokens } from "../workflow/usage.ts";
import { ChatError } from "./chat_error.ts";

/** The parts of a completion, whichever way it came; nothing in `usage` has been checked. */
export interface Collected {
  reply: ModelReply;
  usage: unknown;
  model: unknown;
}

/** More tokens than any one call can have: who says more miscounts. */
const MOST_TOKENS = 1e9;

type Loose = Record<string, unknown>;
const own = (value: unknown): Loose =>
  typeof value === "object" && value !== null ? value as Loose : {};

/**
 * A completion that came in one piece.
 *
 * @throws {ChatError} `llm_bad_reply` when it has no message, or one of another form
 */
export function readCompletion(completion: unknown): Collected {
  const { choices, usage, model } = own(completion);
  const choice = own(Array.isArray(choices) ? choices[0] : undefined);
  if (choice["message"] === undefined || choice["message"] === null) {
    throw new ChatError("llm_bad_reply", "The model service answered without a choice.");
  }
  const { content, refusal, tool_calls: calls } = own(choice["message"]);
  const reply = readReply({
    content: textOf(content),
    refusal: textOf(refusal),
    finish: choice["finish_reason"],
    calls: (Array.isArray(calls) ? calls : []).map(own).filter(({ type, function: f }) =>
      type === "function" || f !== undefined
    ).map(({ id, function: called }) => {
      const { name, arguments: args } = own(called);
      // arguments are JSON text; some services send the object itself
      const text = args === null || args === undefined
        ? ""
        : typeof args === "string"
        ? args
        : JSON.stringify(args);
      return { id, name, arguments: text };
    }),
  });
  return { reply, usage, model };
}

/**
 * The reply made of what was said, fit to be stored and sent back.
 *
 * @throws {ChatError} `llm_bad_reply` for a tool call without a name
 */
export function readReply(
  said: {
    content: string;
    refusal: string;
    finish: unknown;
    calls: { id: unknown; name: unknown; arguments: string }[];
  },
): ModelReply {
  const seen = new Set<string>();
  const calls = said.calls.map(({ id, name, arguments: args }, i): ToolCall => {
    if (typeof name !== "string" || name === "") {
      throw new ChatError("llm_bad_reply", "The model service asked for a tool without naming it.");
    }
    // results are matched to calls by these
    const unique = typeof id === "string" && id !== "" && !seen.has(id) ? id : `call_${i}`;
    seen.add(unique);
    return { id: storableText(unique), name: storableText(name), arguments: storableText(args) };
  });
  return {
    content: storableText(said.content),
    tool_calls: calls,
    finish: typeof said.finish === "string" ? said.finish : "stop",
    ...(said.refusal === "" ? {} : { refusal: storableText(said.refusal) }),
  };
}

/** Text as it should come, or as a list of parts. */
function textOf(content: unknown): string {
  if (content === undefined || content === null) return "";
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map((part) => textOf(own(part)["text"])).join("");
  throw new ChatError(
    "llm_bad_reply",
    "The model service answered with something that is no text.",
  );
}

/**
 * What a call used, by the service's count. A count that is missing or impossible is estimated:
 * a negative one would give its user's budget back.
 */
export function readUsage(
  usage: unknown,
  messages: unknown,
  reply: ModelReply,
): { input: number; output: number } {
  const { prompt_tokens: input, completion_tokens: output } = own(usage);
  const said = [
    reply.content,
    reply.refusal ?? "",
    ...reply.tool_calls.map((call) => call.arguments),
  ];
  return {
    input: countOf(input) ?? estimateTokens(JSON.stringify(messages)),
    output: countOf(output) ?? estimateTokens(said.join("")),
  };
}

function countOf(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 && value <= MOST_TOKENS
    ? Math.ceil(value)
    : undefined;
}
