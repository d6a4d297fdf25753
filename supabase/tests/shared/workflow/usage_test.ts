import assert from "node:assert/strict";
import { costOf, estimateTokens, priceOf } from "../../../../functions-shared/workflow/usage.ts";

const openai = (model: string, prices = {}) =>
  priceOf({ model, url: "https://api.openai.com/v1", prices });

Deno.test("a dated model has the price of its family, and the operator's word wins", () => {
  assert.deepEqual(openai("gpt-4o-mini-2024-07-18"), openai("gpt-4o-mini"));
  assert.notDeepEqual(openai("gpt-4o-mini"), openai("gpt-4o"));
  const own = { input: 1, output: 2 };
  assert.deepEqual(openai("gpt-4o-mini-2024-07-18", { "gpt-4o-mini": own }), own);
  assert.deepEqual(
    priceOf({ model: "my-model", url: "http://127.0.0.1:1/v1", prices: { "my-model": own } }),
    own,
  );
});

Deno.test("no price is guessed: not for a kindred name, not for another service, not for an exception", () => {
  for (
    const model of ["gpt-5-pro", "o3-pro", "gpt-4o-audio-preview", "gpt-4o-2024-05-13", "my-model"]
  ) {
    assert.equal(openai(model), undefined, model);
  }
  assert.equal(
    priceOf({ model: "gpt-4o", url: "https://llm.example.com/v1", prices: {} }),
    undefined,
  );
  assert.equal(openai("constructor"), undefined);
});

Deno.test("cost is tokens times price per million, and unknown stays unknown", () => {
  assert.equal(costOf({ input: 1, output: 4 }, 1_000_000, 500_000), 3);
  assert.equal(costOf(undefined, 1, 1), null);
});

Deno.test("the estimate of a text's tokens is on the high side", () => {
  assert.equal(estimateTokens("x".repeat(300)), 100);
  assert.equal(estimateTokens("é".repeat(300)), 200);
});
