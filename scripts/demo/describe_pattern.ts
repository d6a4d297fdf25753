/** A learned pattern in one line for people. */
// deno-lint-ignore no-explicit-any
export function describePattern(pattern: Record<string, any>): string {
  const metadata = pattern["metadata"] ?? {};
  const what = metadata.title ?? metadata.summary ?? metadata.sequence?.join(" → ") ??
    [metadata.kind, metadata.target ?? metadata.control, metadata.choice ?? metadata.value]
      .filter(Boolean).join(" ");
  const sure = `${Math.round(pattern["confidence"] * 100)} %`;
  return `${pattern["pattern_type"].padEnd(15)} ${sure.padStart(5)}  ${pattern["frequency"]}×  ` +
    `${pattern["module"] ?? ""} ${what}`;
}
