/** A number and what speaks for it. */
export type Scored = readonly [id: number, score: number];

/**
 * The `most` best of many, best first, without sorting the rest.
 *
 * @param isNewFirst among equals the higher number comes first; else the lower.
 */
export function largest(scored: Iterable<Scored>, most: number, isNewFirst = false): Scored[] {
  const best: Scored[] = [];
  const isBefore = (a: Scored, b: Scored) =>
    a[1] !== b[1] ? a[1] > b[1] : a[0] !== b[0] && (a[0] > b[0]) === isNewFirst;
  for (const one of scored) {
    if (best.length === most && !isBefore(one, best[most - 1]!)) continue;
    let low = 0, high = best.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(one, best[middle]!)) high = middle;
      else low = middle + 1;
    }
    best.splice(low, 0, one);
    if (best.length > most) best.pop();
  }
  return best;
}
