/** The seeds of habits: triples of actions, close together, seen often enough. */

import type { Corpus } from "./corpus.ts";

/** A triple of symbols, the groups it is in and its separate occurrences. */
export interface Triple {
  pattern: [number, number, number];
  groups: number;
  occurrences: number;
}

/** Open counters addressed by a number. */
class Counters {
  readonly #slots = new Map<number, number>();
  readonly #groups: number[] = [];
  readonly #lastGroup: number[] = [];
  readonly #occurrences: number[] = [];
  readonly #lastEnd: number[] = [];

  /** Something was seen in `group`, from place `begin` to place `end`; ends must not go back. */
  add(key: number, group: number, begin: number, end: number): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) {
      this.#slots.set(key, this.#groups.length);
      this.#groups.push(1);
      this.#lastGroup.push(group);
      this.#occurrences.push(1);
      this.#lastEnd.push(end);
      return;
    }
    if (group !== this.#lastGroup[slot]) {
      this.#groups[slot]!++;
      this.#lastGroup[slot] = group;
    }
    if (begin > this.#lastEnd[slot]!) {
      this.#occurrences[slot]!++;
      this.#lastEnd[slot] = end;
    }
  }

  /** Keys with enough groups (or occurrences). */
  *frequent(
    support: number,
    perOccurrence: boolean,
  ): Iterable<[key: number, groups: number, occurrences: number]> {
    for (const [key, slot] of this.#slots) {
      const groups = this.#groups[slot]!, occurrences = this.#occurrences[slot]!;
      if ((perOccurrence ? occurrences : groups) >= support) yield [key, groups, occurrences];
    }
  }
}

/**
 * Every triple whose steps have at most `maxGap` actions between them and that reaches the corpus'
 * support; level-wise (a triple is only counted when its pairs are frequent), exact.
 */
export function frequentTriples<S>(corpus: Corpus<S>, maxGap: number): Triple[] {
  const width = corpus.symbols.length, reach = maxGap + 1;
  const { minSupport, perOccurrence } = corpus;
  const pairs = new Counters();
  eachEnd(corpus, (sequence, k, base, group) => {
    for (let j = k - 1; j >= 0 && j >= k - reach; j--) {
      if (sequence[j]! >= 0) {
        pairs.add(sequence[j]! * width + sequence[k]!, group, base + j, base + k);
      }
    }
  });
  const ids = new Map<number, number>();
  const keys: number[] = [];
  for (const [key] of pairs.frequent(minSupport, perOccurrence)) {
    ids.set(key, keys.length);
    keys.push(key);
  }
  const triples = new Counters();
  eachEnd(corpus, (sequence, k, base, group) => {
    for (let j = k - 1; j > 0 && j >= k - reach; j--) {
      const middle = sequence[j]!;
      if (middle < 0 || !ids.has(middle * width + sequence[k]!)) continue;
      for (let i = j - 1; i >= 0 && i >= j - reach; i--) {
        if (sequence[i]! < 0) continue;
        const pair = ids.get(sequence[i]! * width + middle);
        if (pair !== undefined) {
          triples.add(pair * width + sequence[k]!, group, base + i, base + k);
        }
      }
    }
  });
  const found: Triple[] = [];
  for (const [key, groups, occurrences] of triples.frequent(minSupport, perOccurrence)) {
    const pair = keys[Math.floor(key / width)]!;
    const pattern: Triple["pattern"] = [Math.floor(pair / width), pair % width, key % width];
    found.push({ pattern, groups, occurrences });
  }
  return found;
}

/** Calls `visit` for every known symbol, with its place among all and its group. */
function eachEnd<S>(
  corpus: Corpus<S>,
  visit: (sequence: Int32Array, k: number, base: number, group: number) => void,
): void {
  let base = 0;
  corpus.sequences.forEach((sequence, s) => {
    for (let k = 0; k < sequence.length; k++) {
      if (sequence[k]! >= 0) visit(sequence, k, base, corpus.group[s]!);
    }
    base += sequence.length;
  });
}
