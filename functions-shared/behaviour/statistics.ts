/** The few statistics the learner stands on. All pure; counts may be fractional (decayed). */

/**
 * Lower end of Wilson's score interval (Wilson 1927, JASA 22, p. 209): a share one can rely on.
 *
 * @param k successes, `n` trials, `z` normal quantile (1.645: 95 % one-sided).
 * @example `wilsonLower(80, 100)` is 0.727, `wilsonLower(2, 2)` 0.425.
 */
export function wilsonLower(k: number, n: number, z = 1.645): number {
  if (n <= 0) return 0;
  return Math.max(0, centre(k, n, z) - halfWidth(k, n, z));
}

/** Upper end of the same interval. */
export function wilsonUpper(k: number, n: number, z = 1.645): number {
  if (n <= 0) return 1;
  return Math.min(1, centre(k, n, z) + halfWidth(k, n, z));
}

function centre(k: number, n: number, z: number): number {
  return (k / n + z * z / (2 * n)) / (1 + z * z / n);
}

function halfWidth(k: number, n: number, z: number): number {
  const p = Math.min(1, k / n);
  return z * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n);
}

/**
 * Natural logarithm of an upper bound of P(X >= k) for a sum of `n` independent yes/no trials with
 * mean `mu` (Hoeffding 1963, JASA 58, theorem 1: exp(-n KL(k/n, mu/n))). Rigorous for unequal
 * chances, exact for k = n with equal ones.
 */
export function tailBinomial(k: number, n: number, mu: number): number {
  if (k <= mu) return 0;
  if (mu <= 0 || k > n) return -Infinity;
  const q = k / n, p = mu / n;
  return -n * (q * Math.log(q / p) + (q < 1 ? (1 - q) * Math.log((1 - q) / (1 - p)) : 0));
}

/**
 * Natural logarithm of P(X >= k), exactly, for independent yes/no trials with these chances (Poisson
 * binomial distribution, by adding one trial after the other; Hong 2013). For few trials, where the
 * bound above gives a factor away.
 */
export function tailOfTrials(k: number, chances: readonly number[]): number {
  if (k > chances.length) return -Infinity;
  const upTo = new Float64Array(k + 1);
  upTo[0] = 1;
  for (const chance of chances) {
    // the last place gathers everything from k on
    upTo[k]! += upTo[k - 1]! * chance;
    for (let i = k - 1; i > 0; i--) upTo[i] = upTo[i]! * (1 - chance) + upTo[i - 1]! * chance;
    upTo[0]! *= 1 - chance;
  }
  return Math.log(upTo[k]!);
}

/** The same for a count without an upper end (Poisson; Chernoff's bound). */
export function tailPoisson(k: number, mu: number): number {
  if (k <= mu) return 0;
  if (mu <= 0) return -Infinity;
  return -(k * Math.log(k / mu) - k + mu);
}

/** P(X >= k) for `n` picks that each fall on one value with chance `p` (binomial, exact). */
export function tailOfPicks(k: number, n: number, p: number): number {
  let term = (1 - p) ** n, below = 0;
  for (let i = 0; i < k; i++) {
    below += term;
    term *= (n - i) / (i + 1) * p / (1 - p);
  }
  return Math.max(0, 1 - below);
}

/** Weight of something `days` old that halves every `halfLife` days. */
export function decay(days: number, halfLife: number): number {
  return Math.pow(0.5, Math.max(0, days) / halfLife);
}

/** 32-bit FNV-1a over UTF-16 units: a seed that depends on content only. */
export function hash(text: string, seed = 0x811c9dc5): number {
  let h = seed >>> 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** A small seeded generator of numbers in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Code-unit order: the same on every machine, unlike a locale's. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
