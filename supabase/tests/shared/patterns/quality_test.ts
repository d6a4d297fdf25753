/**
 * Does the recall find what was meant? With the embedded stack's own model, on hand-written
 * requests, those that tuned the weights and those that did not: words and meaning together must
 * beat either alone.
 */

import { ok } from "node:assert/strict";
import { habitsOf } from "../../../../functions-shared/patterns/model_habits.ts";
import { type Candidate, relevance } from "../../../../functions-shared/patterns/score.ts";
import { choose } from "../../../../functions-shared/patterns/choose.ts";
import { createEmbedder, LOCAL_MODEL } from "../../../../scripts/stack/embedder.ts";
import { wordLikeness } from "../../../../functions-shared/patterns/words.ts";
import { HELD_OUT, type HeldOut } from "./held_out.ts";
import { DISTRACTORS, PARAPHRASES } from "./paraphrases.ts";

const embedder = createEmbedder();
async function embed(texts: string[]): Promise<number[][]> {
  const response = await embedder.handle(
    new Request("http://localhost/v1/embeddings", {
      method: "POST",
      body: JSON.stringify({ model: LOCAL_MODEL, input: texts }),
    }),
  );
  const { data } = await response.json() as { data: { embedding: number[] }[] };
  return data.map((item) => item.embedding);
}
const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

const triggers = PARAPHRASES.map(([trigger]) => trigger);
const stored = await embed(triggers);
const others = await embed(DISTRACTORS);
const asked = await embed(PARAPHRASES.map(([, query]) => query));

function candidates(query: number[], withTraps: boolean): Candidate[] {
  const one = (trigger: string, vector: number[]): Candidate => ({
    id: trigger,
    source: "behavior_patterns",
    trigger,
    aliases: [],
    similarity: dot(query, vector),
    tools: [trigger],
    final_outcome: "success",
    confidence: 0.8,
    evidence: 1,
    use_count: 1,
    seen_at: new Date().toISOString(),
  });
  return [
    ...triggers.map((trigger, i) => one(trigger, stored[i]!)),
    ...(withTraps ? DISTRACTORS.map((trigger, i) => one(trigger, others[i]!)) : []),
  ];
}

/** Share of requests whose pattern comes first, and the mean reciprocal rank. */
function quality(words: number, half?: 0 | 1, withTraps = false) {
  let first = 0, reciprocal = 0, n = 0;
  for (const [i, [trigger, query]] of PARAPHRASES.entries()) {
    if (half !== undefined && i % 2 !== half) continue;
    const scores = candidates(asked[i]!, withTraps).map((c) => ({
      id: c.id,
      score: relevance(c, query, words),
    }));
    const own = scores.find((s) => s.id === trigger)!.score;
    const rank = scores.filter((s) => s.score > own).length;
    first += rank === 0 ? 1 : 0;
    reciprocal += 1 / (rank + 1);
    n++;
  }
  return { first: first / n, mrr: reciprocal / n };
}

const together = habitsOf(LOCAL_MODEL).words;

Deno.test("paraphrases: words and meaning together beat words alone and meaning alone, also on the half that tuned nothing", () => {
  for (const half of [undefined, 1] as const) {
    const [both, meaning, words] = [quality(together, half), quality(0, half), quality(1, half)];
    ok(both.first > meaning.first, `${both.first} against meaning's ${meaning.first}`);
    ok(both.first > words.first, `${both.first} against words' ${words.first}`);
    ok(both.mrr > meaning.mrr + 0.05 && both.mrr > words.mrr + 0.05);
  }
  ok(quality(together).first >= 0.75, `${quality(together).first}`);
});

Deno.test("among texts made of the paraphrases' own words, the two together still rank better than either", () => {
  const [both, meaning, words] = [together, 0, 1].map((w) => quality(w, undefined, true));
  ok(both!.mrr > meaning!.mrr && both!.mrr > words!.mrr);
  ok(both!.first > 1.5 * words!.first, "words alone fall for them");
});

Deno.test("the default threshold lets most paraphrases in and keeps most strangers out", () => {
  const habits = habitsOf(LOCAL_MODEL);
  let found = 0, strangers = 0, pairs = 0;
  for (const [i, [trigger, query]] of PARAPHRASES.entries()) {
    const { patterns } = choose(candidates(asked[i]!, false), {
      query,
      habits,
      limit: 50,
      threshold: 0.7,
      now: Date.now(),
    });
    found += patterns.some((p) => p.id === trigger) ? 1 : 0;
    strangers += patterns.filter((p) => p.id !== trigger).length;
    pairs += triggers.length - 1;
  }
  ok(found / PARAPHRASES.length >= 0.65, `${found} of ${PARAPHRASES.length}`);
  ok(strangers / pairs <= 0.03, `${strangers} of ${pairs}`);
});

const shelf = HELD_OUT.flatMap(({ stored, decoy }) =>
  decoy === undefined ? [stored] : [stored, decoy]
);
const shelved = await embed(shelf);
const held = await embed(HELD_OUT.map(({ query }) => query));

/** How many requests of a kind (or of all) have their own text first, among all the stored ones. */
function heldOutFirst(words: number, kind?: HeldOut["kind"]): number {
  return HELD_OUT.filter((request, i) => {
    if (kind !== undefined && request.kind !== kind) return false;
    const scores = shelf.map((trigger, s) => ({
      trigger,
      score: relevance(
        { trigger, aliases: [], similarity: dot(held[i]!, shelved[s]!) } as unknown as Candidate,
        request.query,
        words,
      ),
    }));
    const own = scores.find(({ trigger }) => trigger === request.stored)!.score;
    return scores.every(({ trigger, score }) => trigger === request.stored || score < own);
  }).length;
}

Deno.test("requests that tuned nothing: words and meaning together beat words alone and meaning alone", () => {
  for (const kind of [undefined, "meaning"] as const) {
    const [both, meaning, words] = [together, 0, 1].map((w) => heldOutFirst(w, kind));
    ok(both! > meaning! && both! > words!, `${kind}: ${both} against ${meaning} and ${words}`);
  }
});

Deno.test("requests that tuned nothing: an exact identifier and a scrap in another language come first", () => {
  for (const kind of ["identifier", "scrap"] as const) {
    const both = heldOutFirst(together, kind);
    ok(both >= 19, `${kind}: ${both} of 20`);
  }
});

Deno.test("with a real model no lexical trap wins that meaning is .09 away from", () => {
  const traps = HELD_OUT.filter(({ kind }) => kind === "trap");
  for (const model of ["text-embedding-3-small", "gte-small", "a-model-never-seen"]) {
    const share = habitsOf(model).words;
    for (const { query, stored, decoy } of traps) {
      const gap = wordLikeness(query, decoy!) - wordLikeness(query, stored);
      ok(share * gap < (1 - share) * 0.09, `${model}: ${query}`);
    }
  }
});
