/** How alike two procedures are: the order of their steps. */

/** Steps compared at most. */
const MAX_STEPS = 64;

/**
 * Twice the longest common subsequence over both lengths, 0 to 1. Two empty sequences are alike.
 *
 * @example
 * ```ts
 * sequenceLikeness(["Read", "Edit", "Test"], ["Read", "Test"]); // 0.8
 * ```
 */
export function sequenceLikeness(a: readonly string[], b: readonly string[]): number {
  const left = a.slice(0, MAX_STEPS);
  const right = b.slice(0, MAX_STEPS);
  if (left.length === 0 && right.length === 0) return 1;
  if (left.length === 0 || right.length === 0) return 0;
  const row = new Uint16Array(right.length + 1);
  for (const step of left) {
    let diagonal = 0;
    for (let j = 1; j <= right.length; j++) {
      const above = row[j]!;
      row[j] = step === right[j - 1] ? diagonal + 1 : Math.max(above, row[j - 1]!);
      diagonal = above;
    }
  }
  return 2 * row[right.length]! / (left.length + right.length);
}
