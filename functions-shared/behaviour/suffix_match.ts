/**
 * Contexts seen before, from one symbol to the longest: an interpolated estimate with absolute
 * discounting (Kneser and Ney 1995; Chen and Goodman 1999) of what follows, for every order at once,
 * from every place that has the context.
 *
 * A context is a range of the places of its last symbol. A range is divided by the symbol before only
 * when a question goes that way (a suffix tree of the history read backwards, grown where it is
 * asked); each order looks at each place once, however much is asked.
 */

import type { HistoryLine } from "./history_line.ts";
import { largest } from "./largest.ts";

/** Longest context compared. */
export const ORDERS = 6;
/** Ranges up to this long are searched and not divided. */
const SHORT = 64;
/** Taken off every count and given to the shorter context (Chen and Goodman's usual value). */
const DISCOUNT = 0.7;

/** What followed a context. */
export class Followers {
  #likeliest: readonly number[] | undefined;

  /** @param times by symbol; `total` is their sum. */
  constructor(private readonly times: ReadonlyMap<number, number>, readonly total: number) {}

  /** Chance of a symbol, given its chance after the context one symbol shorter. */
  chance(symbol: number, shorter: number): number {
    return (Math.max(0, (this.times.get(symbol) ?? 0) - DISCOUNT) +
      DISCOUNT * this.times.size * shorter) / this.total;
  }

  /** The most frequent ones. */
  likeliest(most: number): readonly number[] {
    return this.#likeliest ??= largest(this.times, most).map(([symbol]) => symbol);
  }
}

/** A context: its places, and what was found out about them. */
interface Node {
  places: Int32Array;
  /** What came next, and what came within the horizon. */
  next?: Followers;
  soon?: Followers;
  /** By the symbol before the context. */
  longer?: Map<number, Node>;
}

/** What a history knows of the end of a context. */
export interface Estimate {
  /** What came next, by order from one symbol to the longest context the history knows. */
  next: Followers[];
  /** The same for what came within the horizon; empty where that is what came next. */
  soon: Followers[];
}

/** What followed every context of a history. */
export class SuffixMatch {
  readonly #roots = new Map<number, Node>();

  constructor(private readonly line: HistoryLine, private readonly horizon = 1) {}

  /** What follows the end of `context`. */
  estimate(context: readonly number[]): Estimate {
    const next: Followers[] = [], soon: Followers[] = [];
    let node = context.length > 0 ? this.#rootOf(context.at(-1)!) : undefined;
    for (let order = 1; node !== undefined; order++) {
      next.push(node.next ??= this.#followers(node.places, 1));
      if (this.horizon > 1) {
        soon.push(node.soon ??= this.#followers(node.places, this.horizon));
      }
      if (order >= ORDERS || order >= context.length) break;
      node = this.#longer(node, order, context[context.length - 1 - order]!);
    }
    return { next, soon };
  }

  #rootOf(symbol: number): Node | undefined {
    let root = this.#roots.get(symbol);
    if (root === undefined) {
      const places = this.line.placesOf(symbol);
      if (places.length === 0) return undefined;
      this.#roots.set(symbol, root = { places });
    }
    return root;
  }

  /** What came within `horizon` steps after the places, each symbol once a place. */
  #followers(places: Int32Array, horizon: number): Followers {
    const { symbols } = this.line;
    const times = new Map<number, number>();
    let total = 0;
    for (const place of places) {
      for (let d = 1; d <= horizon && symbols[place + d]! >= 0; d++) {
        const follower = symbols[place + d]!;
        let again = false;
        for (let e = 1; e < d; e++) again ||= symbols[place + e] === follower;
        if (again) continue;
        times.set(follower, (times.get(follower) ?? 0) + 1);
        total++;
      }
    }
    return new Followers(times, total);
  }

  /** The context with `symbol` before it, `back` steps before its end. */
  #longer(node: Node, back: number, symbol: number): Node | undefined {
    const { symbols } = this.line;
    if (node.longer === undefined && node.places.length <= SHORT) {
      const places = node.places.filter((place) => symbols[place - back] === symbol);
      return places.length === 0 ? undefined : { places };
    }
    return (node.longer ??= divided(node.places, (place) => symbols[place - back]!)).get(symbol);
  }
}

/** Places by a symbol each has, in one array. */
function divided(places: Int32Array, symbolOf: (place: number) => number): Map<number, Node> {
  const sizes = new Map<number, number>();
  for (const place of places) sizes.set(symbolOf(place), (sizes.get(symbolOf(place)) ?? 0) + 1);
  const sorted = new Int32Array(places.length);
  const next = new Map<number, number>();
  const nodes = new Map<number, Node>();
  let from = 0;
  for (const [symbol, size] of sizes) {
    next.set(symbol, from);
    if (symbol >= 0) nodes.set(symbol, { places: sorted.subarray(from, from + size) });
    from += size;
  }
  for (const place of places) {
    const at = next.get(symbolOf(place))!;
    sorted[at] = place;
    next.set(symbolOf(place), at + 1);
  }
  return nodes;
}
