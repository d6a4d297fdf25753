/** Markov chains: first order, and all orders up to five. */

import { best, type Method } from "./types.ts";

/** Longest context of the all-orders chain (Pitkow and Pirolli 1999 use up to the session's). */
const ORDERS = 5;

/** Followers of every context of exactly `order` symbols. */
function followers(sequences: readonly (readonly number[])[], order: number) {
  const counts = new Map<string, Map<number, number>>();
  for (const sequence of sequences) {
    for (let i = order; i < sequence.length; i++) {
      const key = sequence.slice(i - order, i).join(" ");
      let after = counts.get(key);
      if (after === undefined) counts.set(key, after = new Map());
      after.set(sequence[i]!, (after.get(sequence[i]!) ?? 0) + 1);
    }
  }
  return counts;
}

/** The most frequent follower of the last symbol. */
export const firstOrder: Method = {
  name: "Markov 1",
  train(sequences) {
    const counts = followers(sequences, 1);
    return { next: (prefix) => best(counts.get(String(prefix.at(-1))) ?? new Map()) };
  },
};

/**
 * The most frequent follower of the longest context that was ever seen (all-k-order Markov; Pitkow
 * and Pirolli 1999, "Mining longest repeating subsequences to predict World Wide Web surfing").
 */
export const allOrders: Method = {
  name: "All-K Markov",
  train(sequences) {
    const counts = Array.from({ length: ORDERS }, (_, k) => followers(sequences, k + 1));
    return {
      next(prefix) {
        for (let order = Math.min(ORDERS, prefix.length); order > 0; order--) {
          const after = counts[order - 1]!.get(prefix.slice(-order).join(" "));
          if (after !== undefined) return best(after);
        }
        return undefined;
      },
    };
  },
};

/**
 * Prediction by partial matching, escape C, with exclusion (Cleary and Witten 1984; Moffat 1990):
 * a context that has not seen a symbol hands the rest of the probability to the shorter one.
 */
export const partialMatching: Method = {
  name: "PPM-C",
  train(sequences) {
    const counts = Array.from({ length: ORDERS + 1 }, (_, k) => followers(sequences, k));
    return {
      next(prefix) {
        const scores = new Map<number, number>();
        let left = 1;
        for (let order = Math.min(ORDERS, prefix.length); order >= 0; order--) {
          const after = counts[order]!.get(prefix.slice(prefix.length - order).join(" "));
          if (after === undefined) continue;
          const fresh = [...after].filter(([symbol]) => !scores.has(symbol));
          if (fresh.length === 0) continue;
          const total = fresh.reduce((sum, [, count]) => sum + count, 0);
          for (const [symbol, count] of fresh) {
            scores.set(symbol, left * count / (total + fresh.length));
          }
          left *= fresh.length / (total + fresh.length);
        }
        return best(scores);
      },
    };
  },
};
