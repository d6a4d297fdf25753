/** Sequences as small integers, grouped: what the habit miner computes on. */

/** Interned sequences; symbols too rare to take part are -1 but keep their place. */
export interface Corpus<S> {
  /** Symbol of each number, in a fixed order. */
  symbols: S[];
  sequences: Int32Array[];
  /** Group (session) of each sequence; sequences of one group stand together. */
  group: Int32Array;
  groups: number;
  /** Occurrences of symbol v in sequence s: `counts[s * symbols.length + v]`. */
  counts: Uint16Array;
  /** Occurrences of each symbol in all sequences. */
  totals: Int32Array;
  /** Groups (or occurrences, see `perOccurrence`) a pattern needs. */
  minSupport: number;
  /** Support counts separate occurrences instead of groups: for one long log without sessions. */
  perOccurrence: boolean;
}

/**
 * Interns sequences, repeats collapsed. Symbols in fewer than the needed groups become -1: no
 * frequent pattern can hold them, and a shuffle within sequences does not change that, so the
 * permutation test need not pay for them.
 */
export function intern<S>(
  input: readonly (readonly S[])[],
  options: {
    groups?: readonly number[];
    minSupport: number;
    minShare: number;
    perOccurrence: boolean;
  },
): Corpus<S> {
  const collapsed = input.map((sequence) =>
    sequence.filter((s, i) => i === 0 || s !== sequence[i - 1])
  );
  const groupOf = collapsed.map((_, i) => options.groups?.[i] ?? i);
  const seen = new Map<S, { groups: number; last: number; total: number }>();
  collapsed.forEach((sequence, i) => {
    for (const s of sequence) {
      const entry = seen.get(s) ?? { groups: 0, last: -1, total: 0 };
      if (entry.last !== groupOf[i]) entry.groups++;
      entry.last = groupOf[i]!;
      entry.total++;
      seen.set(s, entry);
    }
  });
  const groups = new Set(groupOf).size;
  const tokens = collapsed.reduce((sum, sequence) => sum + sequence.length, 0);
  // without sessions a share of nothing: count as if one stood for every twenty actions
  const units = options.perOccurrence ? tokens / 20 : groups;
  const minSupport = Math.max(options.minSupport, Math.ceil(options.minShare * units));
  const symbols = [...seen].filter(([, e]) =>
    (options.perOccurrence ? e.total : e.groups) >= minSupport
  ).map(([s]) => s).sort(bySymbol);
  const ids = new Map(symbols.map((s, i) => [s, i]));
  const width = symbols.length;
  const counts = new Uint16Array(collapsed.length * width);
  const totals = new Int32Array(width);
  const sequences = collapsed.map((sequence, i) =>
    Int32Array.from(sequence, (s) => {
      const id = ids.get(s) ?? -1;
      if (id >= 0) {
        counts[i * width + id]!++;
        totals[id]!++;
      }
      return id;
    })
  );
  return {
    symbols,
    sequences,
    group: Int32Array.from(groupOf),
    groups,
    counts,
    totals,
    minSupport,
    perOccurrence: options.perOccurrence,
  };
}

function bySymbol(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const x = String(a), y = String(b);
  return x < y ? -1 : x > y ? 1 : 0;
}
