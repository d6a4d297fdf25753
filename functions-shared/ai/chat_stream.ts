/**
 * A streamed answer put together.
 *
 * @module
 */
import type OpenAI from "openai";
import type { ModelReply, ToolCall } from "../workflow/chat_messages.ts";
import { ChatError } from "./chat_error.ts";

/** The parts of a completion, whichever way it came. */
export interface Collected {
  reply: ModelReply;
  usage: OpenAI.CompletionUsage | undefined;
  model: string | undefined;
}

/**
 * Reads a stream to its end, hands each piece of text to `onToken` and joins the pieces of tool
 * calls by their index.
 *
 * @throws {ChatError} `llm_bad_reply` when the stream ends before the model said why it stopped
 */
export async function collect(
  stream: AsyncIterable<OpenAI.ChatCompletionChunk>,
  onToken: (text: string) => void,
): Promise<Collected> {
  const calls: ToolCall[] = [];
  let content = "", finish: string | undefined, model: string | undefined;
  let usage: OpenAI.CompletionUsage | undefined;
  for await (const chunk of stream) {
    model ??= chunk.model;
    usage = chunk.usage ?? usage;
    const choice = chunk.choices?.[0];
    if (!choice) continue;
    finish = choice.finish_reason ?? finish;
    const text = choice.delta?.content;
    if (text) {
      content += text;
      onToken(text);
    }
    for (const part of choice.delta?.tool_calls ?? []) {
      const call = calls[part.index] ??= { id: "", name: "", arguments: "" };
      if (part.id) call.id = part.id;
      if (part.function?.name) call.name += part.function.name;
      if (part.function?.arguments) call.arguments += part.function.arguments;
    }
  }
  if (finish === undefined) {
    throw new ChatError("llm_bad_reply", "The model's stream ended in the middle of an answer.");
  }
  return { reply: { content, tool_calls: calls.filter(Boolean), finish }, usage, model };
}
