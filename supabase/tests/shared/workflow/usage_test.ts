import assert from "node:assert/strict";
import { costOf, estimateTokens, priceOf } from "../../../../functions-shared/workflow/usage.ts";

Deno.test("a dated model has the price of its family, and the operator's word wins", () => {
  assert.deepEqual(priceOf("gpt-4o-mini-2024-07-18"), priceOf("gpt-4o-mini"));
  assert.notDeepEqual(priceOf("gpt-4o-mini"), priceOf("gpt-4o"));
  assert.equal(priceOf("my-model"), undefined);
  assert.deepEqual(priceOf("my-model", { "my-model": { input: 1, output: 2 } }), {
    input: 1,
    output: 2,
  });
});

Deno.test("cost is tokens times price per million, and unknown stays unknown", () => {
  assert.equal(costOf({ input: 1, output: 4 }, 1_000_000, 500_000), 3);
  assert.equal(costOf(undefined, 1, 1), null);
});

Deno.test("the estimate of a text's tokens is on the high side", () => {
  assert.equal(estimateTokens("x".repeat(300)), 100);
  assert.equal(estimateTokens("é".repeat(300)), 200);
});
