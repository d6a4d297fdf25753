/**
 * Keeps a key out of what a model service answers: a hostile or careless one sends it back.
 *
 * @module
 */
import type { ModelReply } from "../workflow/chat_messages.ts";

const HIDDEN = "[key]";
/** Shorter keys are placeholders such as `none`, which stand in ordinary text. */
const SHORTEST = 8;

/** `text` without the key. */
export function hideKey(text: string, key: string): string {
  return key.length < SHORTEST ? text : text.replaceAll(key, HIDDEN);
}

/** An answer without the key. */
export function hideKeyInReply(reply: ModelReply, key: string): ModelReply {
  return {
    ...reply,
    content: hideKey(reply.content, key),
    ...(reply.refusal === undefined ? {} : { refusal: hideKey(reply.refusal, key) }),
    tool_calls: reply.tool_calls.map((call) => ({
      id: hideKey(call.id, key),
      name: hideKey(call.name, key),
      arguments: hideKey(call.arguments, key),
    })),
  };
}

/**
 * The same for text that comes in pieces, across their seams: what might be the beginning of the
 * key is held back until the next piece tells.
 */
export class KeyFilter {
  #held = "";

  constructor(readonly key: string, readonly emit: (text: string) => void) {}

  /** The next piece. */
  push(text: string): void {
    this.#held = hideKey(this.#held + text, this.key);
    let keep = this.key.length < SHORTEST ? 0 : Math.min(this.key.length - 1, this.#held.length);
    while (keep > 0 && !this.key.startsWith(this.#held.slice(-keep))) keep--;
    this.#send(this.#held.length - keep);
  }

  /** The answer is over: what was held back was no key. */
  end(): void {
    this.#send(this.#held.length);
  }

  #send(length: number): void {
    const ready = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    if (ready !== "") this.emit(ready);
  }
}
