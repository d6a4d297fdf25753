/** Where a pattern occurs in a sequence, with a bounded number of other actions between its steps. */

let start = new Int32Array(4096);
let back = new Int32Array(4096);

/**
 * Separate occurrences of `pattern`, earliest end first; of those with one end the tightest.
 *
 * Dynamic programming over ends (level-wise join of end positions): exact under the gap bound, where
 * a leftmost greedy match is not.
 *
 * @param maxGap actions that may lie between two steps.
 * @returns positions of the steps, one array per occurrence.
 */
export function embeddings(
  pattern: readonly number[],
  sequence: Int32Array,
  maxGap: number,
): number[][] {
  const length = sequence.length, steps = pattern.length;
  if (length < steps) return [];
  if (start.length < length * steps) {
    start = new Int32Array(length * steps * 2);
    back = new Int32Array(length * steps * 2);
  }
  let any = false;
  for (let j = 0; j < length; j++) {
    const hit = sequence[j] === pattern[0];
    start[j] = hit ? j : -1;
    any ||= hit;
  }
  for (let k = 1; k < steps && any; k++) {
    const row = k * length, above = row - length, symbol = pattern[k];
    any = false;
    for (let j = 0; j < length; j++) {
      let best = -1;
      if (sequence[j] === symbol) {
        for (let i = j - 1, last = Math.max(0, j - 1 - maxGap); i >= last; i--) {
          if (start[above + i]! > best) {
            best = start[above + i]!;
            back[row + j] = i;
          }
        }
      }
      start[row + j] = best;
      any ||= best >= 0;
    }
  }
  if (!any) return [];
  const found: number[][] = [];
  const lastRow = (steps - 1) * length;
  for (let j = 0, free = 0; j < length; j++) {
    if (start[lastRow + j]! < free) continue;
    const positions = new Array<number>(steps);
    for (let k = steps - 1, at = j; k >= 0; k--) {
      positions[k] = at;
      if (k > 0) at = back[k * length + at]!;
    }
    found.push(positions);
    free = j + 1;
  }
  return found;
}
