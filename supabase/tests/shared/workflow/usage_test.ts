import assert from "node:assert/strict";
import {
  affordableAnswer,
  costOf,
  estimateTokens,
  priceOf,
} from "../../../../functions-shared/workflow/usage.ts";

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

Deno.test("an answer is cut to what the budget covers in the worst case", () => {
  const prompt = "x".repeat(300); // 100 tokens by the estimate
  assert.equal(estimateTokens(prompt), 100);
  assert.equal(affordableAnswer(prompt, 500, undefined, {}), 500);
  assert.equal(affordableAnswer(prompt, 500, undefined, { tokens: 300 }), 200);
  const price = { input: 10, output: 10 }; // 100 tokens cost 0.001
  assert.equal(affordableAnswer(prompt, 500, price, { cost_usd: 0.003 }), 200);
});

Deno.test("a call that the budget cannot cover is refused before it is made", () => {
  const prompt = "x".repeat(300);
  const refused = affordableAnswer(prompt, 500, undefined, { tokens: 110 });
  assert.equal(typeof refused === "object" && refused.code, "budget_exceeded");
  const blind = affordableAnswer(prompt, 500, undefined, { cost_usd: 1 });
  assert.equal(typeof blind === "object" && blind.code, "llm_price_unknown");
});
