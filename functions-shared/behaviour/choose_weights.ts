/** Which experts to trust on a history: asked of the history itself. */

import { learnWeights, type Question, type Weights } from "./log_linear.ts";
import { CONTEXT, Experts, FEATURES } from "./next_experts.ts";
import { ORDERS } from "./suffix_match.ts";
import { hash } from "./statistics.ts";

/** Before anything is known: every order and expert a little, no opinion about the rest. */
const START = Array.from(
  { length: FEATURES },
  (_, f) => f <= ORDERS ? 0.7 : f <= ORDERS + 4 ? 0.2 : 0,
);
/** The weights of a history that nothing was asked of. */
export const UNTRAINED: Weights = learnWeights([], START);
/** Questions about one sequence: its end, and two places anywhere. */
const PER_SEQUENCE = 3;
/** Parts a small history is cut into: each is asked about once, by experts that know the others. */
const PARTS = 4;

/** What will be asked, and how many questions may be asked to prepare for it. */
export interface Examination {
  /** An answer is right if it comes within this many steps. */
  horizon: number;
  /** Only ends of sequences will be asked for. */
  ends: boolean;
  /** At most this many; fewer is faster. */
  questions: number;
}

/** Trains experts on a part of the history and asks them about the rest. */
export function chooseWeights(
  sequences: readonly Int32Array[],
  symbols: number,
  { horizon, ends, questions }: Examination,
): Weights {
  const asked: Question[] = [];
  const perSequence = ends ? 1 : PER_SEQUENCE;
  const usable = sequences.flatMap((sequence, i) => sequence.length > 1 ? [i] : [])
    .sort((a, b) => hash(String(a)) - hash(String(b)) || a - b);
  const size = Math.ceil(Math.min(usable.length / PARTS, questions / perSequence));
  for (let part = 0; part < PARTS && asked.length < questions && usable.length > 1; part++) {
    const held = new Set(usable.slice(part * size, (part + 1) * size));
    const experts = new Experts(sequences.filter((_, i) => !held.has(i)), symbols, horizon);
    for (const i of held) {
      const sequence = sequences[i]!;
      for (const at of places(sequence.length, perSequence, horizon, i)) {
        const evidence = experts.ask([...sequence.subarray(Math.max(0, at - CONTEXT), at)]);
        const after = sequence.subarray(at, at + horizon);
        const right = [...new Set(after)].map((symbol) => evidence.candidates.indexOf(symbol))
          .filter((c) => c >= 0);
        asked.push({ evidence, right });
      }
    }
  }
  return learnWeights(asked, START, horizon);
}

/** Where to ask in a sequence: as near its end as `horizon` allows, and places spread by chance that depends on its number. */
function places(length: number, wanted: number, horizon: number, seed: number): number[] {
  const chosen = new Set([Math.max(1, length - horizon)]);
  for (let q = 0; q < 2 * wanted && chosen.size < Math.min(wanted, length - 1); q++) {
    chosen.add(1 + hash(`${seed} ${q}`) % (length - 1));
  }
  return [...chosen];
}
