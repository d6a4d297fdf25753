/**
 * A streamed answer put together.
 *
 * @module
 */
import type OpenAI from "openai";
import { ChatError } from "./chat_error.ts";
import { type Collected, readReply } from "./chat_reply.ts";

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
  const calls = new Map<number, { id: unknown; name: string; arguments: string }>();
  let open = 0;
  let content = "", refusal = "", finish: string | undefined, model: string | undefined;
  let usage: unknown;
  for await (const chunk of stream) {
    model ??= chunk.model;
    usage = chunk.usage ?? usage;
    const choice = chunk.choices?.[0];
    if (!choice) continue;
    finish = choice.finish_reason ?? finish;
    const { content: text, refusal: no, tool_calls: parts } = choice.delta ?? {};
    if (typeof text === "string" && text !== "") {
      content += text;
      onToken(text);
    }
    if (typeof no === "string") refusal += no;
    for (const part of Array.isArray(parts) ? parts : []) {
      // some services leave the index out: a part with an id then begins a call, others go on with it
      open = part.index ?? (part.id ? calls.size : open);
      const call = calls.get(open) ?? { id: "", name: "", arguments: "" };
      calls.set(open, call);
      if (part.id) call.id = part.id;
      if (part.function?.name) call.name += part.function.name;
      if (part.function?.arguments) call.arguments += part.function.arguments;
    }
  }
  if (finish === undefined) {
    throw new ChatError("llm_bad_reply", "The model's stream ended in the middle of an answer.");
  }
  const reply = readReply({ content, refusal, finish, calls: [...calls.values()] });
  return { reply, usage, model };
}
