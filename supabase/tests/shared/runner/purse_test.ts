import assert from "node:assert/strict";
import { Purse } from "../../../../functions-shared/runner/purse.ts";

const left = { steps: null, tokens: 1000, cost_micros: 5_000_000, time_ms: null };
const used = (tokens: number, cost_micros: number) => ({
  input_tokens: tokens,
  output_tokens: 0,
  cost_micros,
});

Deno.test("siblings see each other's calls while they are answered and what they did cost", () => {
  const purse = new Purse();
  const [a, b] = [purse.openFor(left), purse.openFor(left)];
  const settle = a.reserve({ tokens: 700, micros: 3_000_000 });
  assert.deepEqual(b.allowance(), { tokens: 300, cost_usd: 2 });
  assert.ok(b.isShared());
  settle(used(100, 1_000_000));
  assert.deepEqual(b.allowance(), { tokens: 900, cost_usd: 4 });
  assert.ok(!b.isShared());
});

Deno.test("a task that is issued later knows what was recorded before, and not twice", () => {
  const purse = new Purse();
  const first = purse.openFor(left);
  first.reserve({ tokens: 500, micros: 0 })(used(100, 0));
  purse.record(used(100, 0));
  const second = purse.openFor({ ...left, tokens: 900 });
  assert.equal(second.allowance().tokens, 900);
  assert.equal(first.allowance().tokens, 900);
});

Deno.test("a failed call gives everything back and wakes who waits; no limit stays no limit", async () => {
  const purse = new Purse();
  const task = purse.openFor(left);
  const settle = task.reserve({ tokens: 1000, micros: 0 });
  const waiting = task.change();
  settle();
  await waiting;
  assert.equal(task.allowance().tokens, 1000);
  assert.deepEqual(purse.openFor(undefined).allowance(), {});
});
