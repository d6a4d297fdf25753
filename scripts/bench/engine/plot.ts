/** A bar chart in plain text: one line per entry, longest bar 48 characters. */
export function plot(title: string, entries: [name: string, value: number][]): string {
  const top = Math.max(...entries.map(([, value]) => value), 1);
  const sorted = entries.toSorted((a, b) => b[1] - a[1]);
  return [
    title,
    ...sorted.map(([name, value]) =>
      `${name.padEnd(16)} ${"█".repeat(Math.max(1, Math.round(value / top * 48)))} ${
        Math.round(value).toLocaleString("en")
      }`
    ),
  ].join("\n");
}
