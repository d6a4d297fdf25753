/** A pattern and where it occurs. */

import type { Corpus } from "./corpus.ts";
import { embeddings } from "./embeddings.ts";

/** Where a pattern occurs. */
export interface Occurrence {
  sequence: number;
  positions: number[];
}

/** A pattern with all its separate occurrences. */
export interface Grown {
  pattern: number[];
  /** Groups, or occurrences in a corpus without sessions. */
  support: number;
  occurrences: Occurrence[];
  /** One of its steps may only be passing by: a habit only where no better one is. */
  isDoubtful?: boolean;
}

/** Whether `part` of `whole` is nearly all: the share that closes a pattern, or all but one or two. */
export function nearlyAll(part: number, whole: number, closure: number): boolean {
  return part >= whole - Math.max((1 - closure) * whole, Math.min(2, 0.2 * whole));
}

/** All occurrences of a pattern in `sequences` (the corpus' own, or what is left of them). */
export function occurrencesOf<S>(
  corpus: Corpus<S>,
  pattern: readonly number[],
  maxGap: number,
  sequences: readonly Int32Array[] = corpus.sequences,
  among?: readonly number[],
): Grown {
  const width = corpus.symbols.length;
  const occurrences: Occurrence[] = [];
  let support = 0, last = -1;
  const visit = (s: number) => {
    for (const v of pattern) if (corpus.counts[s * width + v] === 0) return;
    const found = embeddings(pattern, sequences[s]!, maxGap);
    if (found.length === 0) return;
    if (corpus.perOccurrence) support += found.length;
    else if (corpus.group[s] !== last) support++;
    last = corpus.group[s]!;
    for (const positions of found) occurrences.push({ sequence: s, positions });
  };
  if (among) { for (const s of among) visit(s); }
  else for (let s = 0; s < sequences.length; s++) visit(s);
  return { pattern: [...pattern], support, occurrences };
}
