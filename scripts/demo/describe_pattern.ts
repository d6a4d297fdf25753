const STEPS = 5;

/** A learned pattern in one line for people. */
// deno-lint-ignore no-explicit-any
export function describePattern(pattern: Record<string, any>): string {
  const { sequence, kind, target, page, control, choice, value } = pattern["metadata"] ?? {};
  const what = Array.isArray(sequence)
    ? sequence.slice(0, STEPS).map(action).join(" → ") +
      (sequence.length > STEPS ? ` → … (${sequence.length} steps)` : "")
    : control !== undefined
    ? `${control} = ${choice ?? value}`
    : [kind, target ?? page].filter(Boolean).join(" ");
  const sure = `${Math.round(pattern["confidence"] * 100)} %`;
  const times = `${pattern["frequency"]}×`;
  return `${pattern["pattern_type"].padEnd(15)} ${sure.padStart(5)} ${times.padStart(4)}  ` +
    `${(pattern["module"] ?? "").padEnd(8)} ${what}`;
}

/** "input:leads:/leads/:id#status" → "input status". */
function action(token: string): string {
  const [, type, page, target] = /^([^:]*):[^:]*:([^#]*)#?(.*)$/.exec(token) ?? [, token, "", ""];
  return `${type} ${target || page}`;
}
