import assert from "node:assert/strict";
import { readJson } from "../../../../functions-shared/workflow/read_json.ts";

Deno.test("JSON is found whole, fenced, or inside prose", () => {
  assert.deepEqual(readJson("[1, 2]"), [1, 2]);
  assert.equal(readJson("3"), 3);
  assert.deepEqual(readJson('```json\n{"a": {"b": "}"}}\n```'), { a: { b: "}" } });
  assert.deepEqual(readJson('I think: {"a": 1} - done.'), { a: 1 });
});

Deno.test("what is not JSON is not guessed at", () => {
  for (const text of ["", "hello", "{a: 1}", '{"a": 1', "see [the docs"]) {
    assert.equal(readJson(text), undefined, text);
  }
});

Deno.test("what no state could hold is none either", () => {
  for (const text of ['{"a": 1e400}', "[".repeat(5000) + "]".repeat(5000)]) {
    assert.equal(readJson(text), undefined);
  }
});
