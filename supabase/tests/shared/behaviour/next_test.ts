/** Prediction of the next symbol. */

import assert from "node:assert/strict";
import { predictNext, trainNext } from "../../../../functions-shared/behaviour/predict_next.ts";
import {
  type Followers,
  type NextCounters,
  predictFromCounters,
} from "../../../../functions-shared/behaviour/next_counters.ts";
import { seededRandom } from "../../../../functions-shared/behaviour/statistics.ts";

Deno.test("an unambiguous beginning is continued", () => {
  const history = Array.from({ length: 10 }, (_, i) => i % 2 ? ["a", "b", "c"] : ["x", "b", "d"]);
  assert.equal(predictNext(history, ["a", "b"])[0]!.symbol, "c");
  assert.equal(predictNext(history, ["x", "b"])[0]!.symbol, "d");
});

Deno.test("probabilities fall and add up to at most one; unknown prefixes predict nothing", () => {
  const history = Array.from({ length: 30 }, (_, i) => ["a", "b", `c${i % 5}`, "d"]);
  const predictions = predictNext(history, ["a", "b"], 10);
  const sum = predictions.reduce((total, p) => total + p.probability, 0);
  assert.ok(sum > 0 && sum <= 1 + 1e-9);
  for (let i = 1; i < predictions.length; i++) {
    assert.ok(predictions[i]!.probability <= predictions[i - 1]!.probability);
  }
  assert.deepEqual(predictNext(history, ["never", "seen"]), []);
  assert.deepEqual(predictNext([], ["a"]), []);
});

Deno.test("routines that share pages: at least 40 % more right than a first-order Markov chain", () => {
  const random = seededRandom(3);
  const pages = Array.from({ length: 12 }, (_, i) => `p${i}`);
  const pick = <T>(list: T[]) => list[Math.floor(random() * list.length)]!;
  const routines = Array.from(
    { length: 8 },
    () => Array.from({ length: 5 + Math.floor(random() * 5) }, () => pick(pages)),
  );
  const sessions = Array.from(
    { length: 120 },
    () =>
      [1, 2, 3].flatMap(() => pick(routines)).flatMap((page) =>
        random() < 0.08 ? [page, pick(pages)] : [page]
      ),
  );
  const train = sessions.slice(0, 90), test = sessions.slice(90);
  const predictor = trainNext(train, { horizon: 1 });
  const follows = new Map<string, Map<string, number>>();
  for (const session of train) {
    session.slice(1).forEach((page, i) => {
      const counts = follows.get(session[i]!) ?? new Map<string, number>();
      counts.set(page, (counts.get(page) ?? 0) + 1);
      follows.set(session[i]!, counts);
    });
  }
  let ours = 0, markov = 0;
  for (const session of test) {
    for (let i = 2; i < session.length; i++) {
      if (predictor.next(session.slice(0, i), 1)[0]?.symbol === session[i]) ours++;
      const best = [...follows.get(session[i - 1]!) ?? []].sort((a, b) => b[1] - a[1])[0]?.[0];
      if (best === session[i]) markov++;
    }
  }
  assert.ok(ours >= 1.4 * markov, `${ours} against ${markov}`);
});

const counters = (own: Partial<NextCounters["own"]>, more: Partial<NextCounters> = {}) => {
  const none: Followers = [];
  return {
    own: { any: none, one: none, two: none, three: none, ...own },
    resumed: { one: none, two: none },
    all: { any: none, one: none, two: none },
    ...more,
  };
};

Deno.test("counters: the longer context decides, what it leaves open the shorter ones fill", () => {
  const own = {
    any: [["a", 40], ["b", 30], ["c", 30]],
    one: [["a", 20], ["b", 10]],
    two: [["b", 6]],
  } as const;
  const ranked = predictFromCounters(counters(own), "x", 10);
  assert.deepEqual(ranked.map(({ symbol }) => symbol), ["b", "a", "c"]);
  assert.ok(Math.abs(ranked.reduce((sum, p) => sum + p.probability, 0) - 1) < 1e-9);
  assert.ok(ranked.at(-1)!.probability > 0);
  assert.deepEqual(predictFromCounters(counters({}), undefined), []);
});

Deno.test("counters: who is new gets what everybody does, one's own habit comes before it", () => {
  const all = { any: [["a", 50]], one: [["b", 50]], two: [] } as const;
  assert.equal(predictFromCounters(counters({}, { all }), "x")[0]!.symbol, "b");
  assert.equal(predictFromCounters(counters({ one: [["c", 8]] }, { all }), "x")[0]!.symbol, "c");
});

Deno.test("counters: an action that came unexpected is taken for an interruption", () => {
  const any = [["save", 10], ["call", 10], ["bell", 10]] as const;
  const resumed = { one: [["save", 10]], two: [] } as const;
  const chance = (last: string) =>
    predictFromCounters(counters({ any }, { resumed }), last)
      .find(({ symbol }) => symbol === "save")!.probability;
  assert.ok(chance("bell") > chance("save"));
});
