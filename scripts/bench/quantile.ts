/** The value below which a share `q` of the values lies; NaN of none. */
export function quantile(values: number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

/** The middle value. */
export function median(values: number[]): number {
  return quantile(values, 0.5);
}
