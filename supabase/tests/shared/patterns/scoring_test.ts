import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { choose } from "../../../../functions-shared/patterns/choose.ts";
import { habitsOf, onCommonScale } from "../../../../functions-shared/patterns/model_habits.ts";
import { type Candidate, relevance, worth } from "../../../../functions-shared/patterns/score.ts";
import { sequenceLikeness } from "../../../../functions-shared/patterns/sequence.ts";
import { vectorText } from "../../../../functions-shared/patterns/vector_text.ts";
import { wordLikeness } from "../../../../functions-shared/patterns/words.ts";

const NOW = Date.parse("2026-06-01T00:00:00Z");
const PLAIN = { words: 0, same: 0.7 };
const candidate = (change: Partial<Candidate> = {}): Candidate => ({
  id: crypto.randomUUID(),
  source: "behavior_patterns",
  trigger: "deploy",
  aliases: [],
  similarity: 0.9,
  tools: ["Read", "Edit"],
  final_outcome: "success",
  confidence: 0.8,
  evidence: 1,
  use_count: 1,
  seen_at: "2026-06-01T00:00:00Z",
  ...change,
});
const near = (value: number, expected: number, within = 5e-4) =>
  ok(Math.abs(value - expected) <= within, `${value}, not ${expected}`);
const pick = (candidates: Candidate[], change: Record<string, unknown> = {}) =>
  choose(candidates, { habits: PLAIN, limit: 5, threshold: 0.7, now: NOW, ...change });

Deno.test("two sequences are as alike as their longest common subsequence", () => {
  equal(sequenceLikeness([], []), 1);
  equal(sequenceLikeness(["a"], []), 0);
  equal(sequenceLikeness(["a", "b", "c"], ["a", "b", "c"]), 1);
  near(sequenceLikeness(["a", "b", "c"], ["a", "c"]), 0.8);
  near(sequenceLikeness(["a", "b"], ["b", "a"]), 0.5);
  equal(sequenceLikeness(["a", "a", "a"], ["a"]), 0.5);
  // against the textbook table on random sequences
  const full = (a: string[], b: string[]) => {
    const t = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
    for (let i = 1; i <= a.length; i++) {
      for (let j = 1; j <= b.length; j++) {
        t[i]![j] = a[i - 1] === b[j - 1]
          ? t[i - 1]![j - 1] + 1
          : Math.max(t[i - 1]![j], t[i]![j - 1]);
      }
    }
    return 2 * t[a.length]![b.length] / (a.length + b.length);
  };
  let seed = 1;
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  for (let round = 0; round < 200; round++) {
    const make = () => Array.from({ length: 1 + random(20) }, () => "abcd"[random(4)]!);
    const [a, b] = [make(), make()];
    equal(sequenceLikeness(a, b), full(a, b));
  }
});

Deno.test("letters compare words, not case or punctuation, in any script", () => {
  equal(wordLikeness("Deploy the API!", "deploy THE api"), 1);
  equal(wordLikeness("deploy", "cook lunch"), 0);
  ok(wordLikeness("deployment of E1234", "E1234 deploy") > 0.5);
  equal(wordLikeness("запустить сервер", "ЗАПУСТИТЬ сервер"), 1);
  equal(wordLikeness("…", "…"), 0);
});

Deno.test("words join meaning by their share, the best wording counts, and without a query only meaning does", () => {
  const one = candidate({ trigger: "cook", aliases: ["deploy api"], similarity: 0.5 });
  near(relevance(one, "deploy api", 0.4), 0.6 * 0.5 + 0.4);
  equal(relevance(one, undefined, 0.4), 0.5);
  equal(relevance(candidate({ similarity: -0.3 }), undefined, 0), 0);
});

Deno.test("every model's threshold means the same: its own boundary becomes 0.7", () => {
  for (const model of ["use-lite-512", "text-embedding-3-small", "gte-small", "some-model", null]) {
    const { same, words } = habitsOf(model);
    near(onCommonScale(same, same), 0.7);
    equal(onCommonScale(0, same), 0);
    equal(onCommonScale(1, same), 1);
    ok(onCommonScale(same + 0.01, same) > 0.7 && onCommonScale(same - 0.01, same) < 0.7);
    ok(words > 0 && words < 0.5);
  }
});

Deno.test("a real model's meaning beats a lexical trap: same words, other meaning", () => {
  // figures of a strong model: the paraphrase .62, the trap that shares nearly every word .50
  const means = candidate({ trigger: "Stop the program listening on port 3000", similarity: 0.62 });
  const says = candidate({ trigger: "Kill the process list that holds the port", similarity: 0.5 });
  const query = "kill the process that holds the port";
  ok(wordLikeness(query, says.trigger) - wordLikeness(query, means.trigger) > 0.35);
  const { patterns } = choose([says, means], {
    query,
    habits: habitsOf("text-embedding-3-small"),
    limit: 2,
    threshold: 0.5,
    now: NOW,
  });
  equal(patterns[0]!.id, means.id);
});

Deno.test("worth falls with age to a floor and rises with proof", () => {
  const at = (days: number) =>
    worth(candidate({ seen_at: new Date(NOW - days * 86_400_000).toISOString() }), 1, NOW);
  near(at(90) / at(0), 0.5);
  near(at(1000) / at(0), 0.25);
  equal(at(-5), at(0));
  const proven = candidate({ confidence: 0.95, evidence: 30 });
  ok(worth(proven, 0.8, NOW) > worth(candidate(), 0.9, NOW));
});

Deno.test("below the threshold there is no answer, and failures stand apart", () => {
  const bad = candidate({ final_outcome: "failed", similarity: 0.99 });
  const good = candidate({ similarity: 0.75 });
  const far = candidate({ similarity: 0.69 });
  const { patterns, avoid } = pick([bad, far, good]);
  deepEqual(patterns.map((p) => p.id), [good.id]);
  deepEqual(avoid.map((p) => p.id), [bad.id]);
  deepEqual(pick([far]), { patterns: [], avoid: [] });
});

Deno.test("the best comes first, and another way comes before the same way again", () => {
  const best = candidate({ similarity: 0.95 });
  const twins = [0.94, 0.93, 0.92].map((similarity) => candidate({ similarity }));
  const other = candidate({ similarity: 0.8, tools: ["Browser", "Click"] });
  const { patterns } = pick([...twins, other, best], { limit: 2 });
  deepEqual(patterns.map((p) => p.id), [best.id, other.id]);
  equal(pick([...twins, other, best], { limit: 50 }).patterns.length, 5);
});

Deno.test("a vector is written padded and finite", () => {
  equal(vectorText([1, -0.5]).slice(0, 9), "[1,-0.5,0");
  equal(vectorText([1]).split(",").length, 1536);
  throws(() => vectorText([NaN]), RangeError);
  throws(() => vectorText(new Float32Array(1537)), RangeError);
});
