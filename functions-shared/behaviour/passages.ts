/** Passages like this one: places in the history where most of the context has just been. */

import type { HistoryLine } from "./history_line.ts";
import type { Scores } from "./next_experts.ts";

/** Symbols of the context that may anchor a passage, and how much less an older one is worth. */
const ANCHORS = 3;
const ANCHOR_AGE = 0.6;
/** Newest places of an anchor that are looked at. */
const LOOKED_AT = 600;
/** How far back of the anchor the rest of the context is looked for. */
const BACK = 12;
const RECENCY = 0.85;
const AHEAD = 6;
const DISTANCE = 0.7;
/** Shared context is raised to this power. */
const SHARPNESS = 4;

/** Places of a history, compared with the context. */
export class Passages {
  constructor(private readonly line: HistoryLine) {}

  /** Votes of the places that share most, with what came next there. */
  scores(context: readonly number[]): Scores {
    /** Where in the context a symbol is last. */
    const last = new Map(context.map((symbol, i) => [symbol, i]));
    const weights = context.map((_, i) => RECENCY ** (context.length - 1 - i));
    let whole = 0;
    for (const i of last.values()) whole += weights[i]!;
    const scores: Scores = new Map();
    const line = this.line.symbols;
    for (let age = 0; age < ANCHORS && age < context.length; age++) {
      const places = this.line.placesOf(context[context.length - 1 - age]!);
      for (let p = Math.max(0, places.length - LOOKED_AT); p < places.length; p++) {
        const place = places[p]!;
        let shared = 0;
        let seen = 0; // one bit per symbol of the context
        for (let i = place; i > place - BACK && line[i]! >= 0; i--) {
          const nth = last.get(line[i]!);
          if (nth === undefined || seen >> nth & 1) continue;
          seen |= 1 << nth;
          shared += weights[nth]!;
        }
        const vote = ANCHOR_AGE ** age * (shared / whole) ** SHARPNESS;
        for (let d = 1; d <= AHEAD && line[place + d]! >= 0; d++) {
          const symbol = line[place + d]!;
          scores.set(symbol, (scores.get(symbol) ?? 0) + vote * DISTANCE ** (d - 1));
        }
      }
    }
    return scores;
  }
}
