import { equal } from "node:assert/strict";
import { KeyFilter } from "../../../../functions-shared/ai/hide_key.ts";

const KEY = "sk-aab-aabc-0123456789";

function filtered(pieces: string[], key = KEY): string {
  let out = "";
  const filter = new KeyFilter(key, (text) => out += text);
  for (const piece of pieces) filter.push(piece);
  filter.end();
  return out;
}

Deno.test("a key is hidden wherever the pieces of a stream cut it", () => {
  const text = `a ${KEY} sk-aab-sk-aa ${KEY}${KEY} sk-`;
  const expected = "a [key] sk-aab-sk-aa [key][key] sk-";
  for (let cut = 0; cut <= text.length; cut++) {
    equal(filtered([text.slice(0, cut), text.slice(cut)]), expected, `cut at ${cut}`);
  }
  equal(filtered([...text]), expected);
});

Deno.test("text without the key passes whole, and at once unless it may be the key", () => {
  equal(filtered(["hello ", "world"]), "hello world");
  equal(filtered(["none of it", " is none"], "none"), "none of it is none");
  const seen: string[] = [];
  const filter = new KeyFilter(KEY, (text) => seen.push(text));
  filter.push("hello ");
  filter.push("desk");
  equal(seen.join("|"), "hello |de");
});
