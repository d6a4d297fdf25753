/** Prediction of the next symbol. */

import assert from "node:assert/strict";
import { trainNext } from "../../../../functions-shared/behaviour/predict_next.ts";
import type { EverybodysFollowers } from "../../../../functions-shared/behaviour/everybody_next.ts";
import {
  learnNextModel,
  nextActionPredictor,
} from "../../../../functions-shared/behaviour/next_action.ts";
import { DAY } from "../../../../functions-shared/behaviour/settings.ts";
import { seededRandom } from "../../../../functions-shared/behaviour/statistics.ts";
import type { SessionDigest } from "../../../../functions-shared/behaviour/types.ts";

Deno.test("an unambiguous beginning is continued", () => {
  const history = Array.from({ length: 10 }, (_, i) => i % 2 ? ["a", "b", "c"] : ["x", "b", "d"]);
  const predictor = trainNext(history);
  assert.equal(predictor.next(["a", "b"])[0]!.symbol, "c");
  assert.equal(predictor.next(["x", "b"])[0]!.symbol, "d");
});

Deno.test("probabilities fall and add up to at most one; unknown prefixes predict nothing", () => {
  const history = Array.from({ length: 30 }, (_, i) => ["a", "b", `c${i % 5}`, "d"]);
  const predictor = trainNext(history);
  const predictions = predictor.next(["a", "b"], 10);
  const sum = predictions.reduce((total, p) => total + p.probability, 0);
  assert.ok(sum > 0 && sum <= 1 + 1e-9);
  for (let i = 1; i < predictions.length; i++) {
    assert.ok(predictions[i]!.probability <= predictions[i - 1]!.probability);
  }
  assert.deepEqual(predictor.next(["never", "seen"]), []);
  assert.deepEqual(trainNext<string>([]).next(["a"]), []);
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

Deno.test("asked for what comes within three steps, what is sure to come soon is preferred", () => {
  const random = seededRandom(7);
  const history = Array.from({ length: 60 }, (_, i) => {
    const round = () => ["a", `n${Math.floor(random() * 3)}`, `m${Math.floor(random() * 3)}`, "z"];
    return i % 3 === 0 ? [...round(), ...round()] : [...round(), `o${i % 7}`, ...round()];
  });
  assert.match(trainNext(history).next(["z", "a"])[0]!.symbol, /^n/);
  assert.equal(trainNext(history, { horizon: 3 }).next(["z", "a"])[0]!.symbol, "z");
});

Deno.test("asked for ends, how sequences end counts for more than what comes on the way", () => {
  const random = seededRandom(9);
  const history = Array.from({ length: 200 }, () => [
    ...Array.from({ length: 12 }, () => ["the", "fig", "tree", "and"][Math.floor(random() * 4)]!)
      .flatMap((word) => [...word, " "]).slice(0, -1),
    ".",
  ]);
  assert.equal(trainNext(history, { ends: true }).next([..."the"])[0]!.symbol, ".");
  assert.equal(trainNext(history, { ends: true }).next([..."and tree"])[0]!.symbol, ".");
  assert.equal(trainNext(history).next([..."the f"])[0]!.symbol, "i");
});

Deno.test("few symbols, long contexts: what only the last five decide is foreseen", () => {
  const random = seededRandom(11);
  const rule = Array.from({ length: 4 ** 5 }, () => Math.floor(random() * 4));
  const history = Array.from({ length: 60 }, () => {
    const line = Array.from({ length: 5 }, () => Math.floor(random() * 4));
    while (line.length < 200) {
      const key = line.slice(-5).reduce((sum, symbol) => 4 * sum + symbol, 0);
      line.push(random() < 0.1 ? Math.floor(random() * 4) : rule[key]!);
    }
    return line;
  });
  const predictor = trainNext(history.slice(0, 50));
  let asked = 0, right = 0;
  for (const line of history.slice(50)) {
    for (let at = 20; at < line.length; at += 5, asked++) {
      if (predictor.next(line.slice(0, at), 1)[0]!.symbol === line[at]) right++;
    }
  }
  // the rule decides nine times in ten, and of the rest chance hits one in four
  assert.ok(right >= 0.85 * asked, `${right} of ${asked}`);
});

const nobody: EverybodysFollowers = { any: [], one: [], two: [] };
const untrained = (sessions: string[][]) => nextActionPredictor({ sessions, model: null });

Deno.test("next action: the first one of a session is foreseen, and chances add up to one", () => {
  const next = untrained(Array.from({ length: 6 }, () => ["open", "call", "note"]));
  const all: EverybodysFollowers = { ...nobody, any: [["help", 9]] };
  const ranked = next([], all, 20);
  assert.equal(ranked[0]!.symbol, "open");
  assert.ok(Math.abs(ranked.reduce((sum, p) => sum + p.probability, 0) - 1) < 1e-9);
  assert.deepEqual(untrained([])([], nobody), []);
});

Deno.test("next action: who is new gets what everybody does, one's own habit comes before it", () => {
  const all: EverybodysFollowers = { any: [["a", 50]], one: [["b", 50]], two: [] };
  assert.equal(untrained([])(["x"], all)[0]!.symbol, "b");
  const own = Array.from({ length: 8 }, () => ["x", "c"]);
  assert.equal(untrained(own)(["x"], all)[0]!.symbol, "c");
});

Deno.test("next action: where the person never was others decide, where nobody was the person", () => {
  const own = untrained(Array.from({ length: 8 }, () => ["open", "call", "note"]));
  const any = [["a", 50]] as const;
  assert.equal(own(["open", "new"], { any, one: [["b", 50]], two: [] })[0]!.symbol, "b");
  assert.equal(own(["open", "call", "new"], { any, one: [], two: [] })[0]!.symbol, "note");
});

Deno.test("trust in the experts is learned once a day, the same from the same sessions", () => {
  const random = seededRandom(5);
  const digest = (n: number, start: number) => ({
    session_id: `s${n}`,
    start,
    end: start + 1_000,
    events: 4,
    tokens: ["open", ...(random() < 0.4 ? [`n${Math.floor(random() * 9)}`] : []), "call", "save"],
    token_after: [],
    token_event: [],
    hits: [],
    choices: [],
  } as unknown as SessionDigest);
  const days = Array.from({ length: 50 }, (_, n) => digest(n, n * DAY));
  const model = learnNextModel(days);
  assert.deepEqual(learnNextModel(days.toReversed()), model);
  const moved = model.weights.filter((weight, f) => weight !== learnNextModel([]).weights[f]);
  assert.ok(moved.length > 10, "weights are learned");
  const laterThatDay = [...days, digest(50, 49 * DAY + 3_600_000)];
  assert.equal(learnNextModel(laterThatDay, model), model, "given back, not learned again");
  assert.notDeepEqual(learnNextModel([...days, digest(51, 50 * DAY)], model), model);
  const stale = { ...model, algorithm: "another" };
  const answer = (m: typeof model | null) =>
    nextActionPredictor({ sessions: days.map(({ tokens }) => tokens), model: m })(["open"], nobody);
  assert.deepEqual(answer(stale), answer(null), "weights of other experts are not used");
  assert.notDeepEqual(answer(model), answer(null));
});
