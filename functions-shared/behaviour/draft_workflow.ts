/**
 * A habit as a draft workflow: what is always the same stays, what was carried over from an earlier
 * step is carried over, the rest becomes an input; steps that are not always there become optional.
 *
 * After Robidium (Leno et al. 2020), which turns recorded routines into scripts the same way.
 */

import { type Occurrence, occurrenceIn, type PlannedStep, type Scalar } from "./habit_values.ts";
import { compareText } from "./statistics.ts";
import type { BehaviourEvent } from "./types.ts";

/** Share of the occurrences that must agree for a constant or a copy. */
const AGREEMENT = 0.9;
/** Share of the occurrences of a step that must have a slot for it to count. */
const PRESENCE = 0.5;
/** Newest sessions kept apart to test the draft on, at most a third. */
const HELD_OUT = 3;
/** Where a slot's value comes from. */
export type Source =
  | { kind: "constant"; value: Scalar }
  | { kind: "copy"; step: number; slot: string }
  | { kind: "input"; name: string };

/** One step of the draft. */
export interface DraftStep extends PlannedStep {
  slots: Record<string, Source>;
}

/** A drafted procedure. */
export interface Draft {
  steps: DraftStep[];
  /** JSON Schema of the inputs. */
  input_schema: Record<string, unknown>;
  dry_run: DryRun;
  /** Sessions it was drafted from. */
  learned_from: number;
}

/** Replay on held-out sessions: inputs are taken from the session, everything else must come out right. */
export interface DryRun {
  sessions: number;
  steps: number;
  reproduced: number;
  /** `reproduced` of `steps`; null when there was no session to spare. */
  share: number | null;
}

/**
 * Drafts a workflow from the sessions that show a habit.
 *
 * @param habit its actions and optional steps, as learned.
 * @param sessions events of each session, oldest session first.
 */
export function draftWorkflow(
  habit: {
    sequence: readonly string[];
    optional: readonly { before: number; token: string; share: number }[];
  },
  sessions: readonly (readonly BehaviourEvent[])[],
): Draft {
  const plan = stepsOf(habit);
  const occurrences = sessions.flatMap((events) => occurrenceIn(events, habit.sequence, plan));
  const spare = Math.min(HELD_OUT, Math.floor(occurrences.length / 3));
  const learned = occurrences.slice(0, occurrences.length - spare);
  const properties: Record<string, unknown> = {};
  const required: string[] = [];
  const steps: DraftStep[] = [];
  plan.forEach((step, i) => {
    const slots: DraftStep["slots"] = {};
    const shown = learned.filter((o) => o[i] !== undefined);
    for (const slot of slotNames(shown.map((o) => o[i]!))) {
      const source = constant(shown, i, slot) ?? copy(plan, shown, i, slot);
      if (source !== undefined) {
        slots[slot] = source;
        continue;
      }
      const name = inputName(slot, i, properties);
      properties[name] = {
        type: typeOf(shown.map((o) => o[i]![slot])),
        description: `${slot} of step ${i + 1}`,
      };
      if (step.optional === undefined) required.push(name);
      slots[slot] = { kind: "input", name };
    }
    if (step.optional !== undefined) {
      properties[switchName(i)] = {
        type: "boolean",
        default: step.optional >= 0.5,
        description: `whether to do step ${i + 1}`,
      };
    }
    steps.push({ ...step, slots });
  });
  return {
    steps,
    input_schema: { type: "object", properties, required },
    dry_run: replay(steps, occurrences.slice(occurrences.length - spare)),
    learned_from: learned.length,
  };
}

/** Name of the input that switches an optional step on. */
export function switchName(step: number): string {
  return `with_step_${step + 1}`;
}

function stepsOf(habit: Parameters<typeof draftWorkflow>[0]): PlannedStep[] {
  return habit.sequence.flatMap((token, i) => [
    ...habit.optional.filter((o) => o.before === i).map((o) => ({
      token: o.token,
      optional: o.share,
    })),
    { token },
  ]).concat(
    habit.optional.filter((o) => o.before === habit.sequence.length)
      .map((o) => ({ token: o.token, optional: o.share })),
  );
}

function slotNames(shown: readonly Record<string, Scalar>[]): string[] {
  const counts = new Map<string, number>();
  for (const values of shown) {
    for (const name of Object.keys(values)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].filter(([, n]) => n >= PRESENCE * shown.length).map(([name]) => name)
    .sort(compareText);
}

function constant(shown: readonly Occurrence[], i: number, slot: string): Source | undefined {
  const counts = new Map<Scalar | undefined, number>();
  for (const o of shown) counts.set(o[i]![slot], (counts.get(o[i]![slot]) ?? 0) + 1);
  const [value, n] = [...counts].sort((a, b) => b[1] - a[1])[0]!;
  return value !== undefined && n >= AGREEMENT * shown.length
    ? { kind: "constant", value }
    : undefined;
}

/** The same value as an earlier step that is always there; the nearest one, same name first. */
function copy(
  plan: readonly PlannedStep[],
  shown: readonly Occurrence[],
  i: number,
  slot: string,
): Source | undefined {
  const having = shown.filter((o) => o[i]![slot] !== undefined);
  for (let j = i - 1; j >= 0; j--) {
    if (plan[j]!.optional !== undefined) continue;
    const names = slotNames(having.map((o) => o[j]!));
    for (const name of names.sort((a, b) => Number(b === slot) - Number(a === slot))) {
      const agree = having.filter((o) => o[j]![name] === o[i]![slot]).length;
      if (agree >= AGREEMENT * having.length) return { kind: "copy", step: j, slot: name };
    }
  }
  return undefined;
}

function inputName(slot: string, i: number, taken: Record<string, unknown>): string {
  return slot in taken || slot.startsWith("step_") ? `${slot}_${i + 1}` : slot;
}

function typeOf(values: readonly (Scalar | undefined)[]): string {
  const types = new Set(values.filter((v) => v !== undefined).map((v) => typeof v));
  return types.size === 1 ? [...types][0]! : "string";
}

function replay(steps: readonly DraftStep[], held: readonly Occurrence[]): DryRun {
  let total = 0, reproduced = 0;
  for (const occurrence of held) {
    steps.forEach((step, i) => {
      const actual = occurrence[i];
      if (actual === undefined) return;
      total++;
      const right = Object.entries(step.slots).every(([slot, source]) => {
        if (source.kind === "input") return true;
        const given = source.kind === "constant"
          ? source.value
          : occurrence[source.step]?.[source.slot];
        return given === actual[slot];
      });
      if (right) reproduced++;
    });
  }
  return {
    sessions: held.length,
    steps: total,
    reproduced,
    share: total === 0 ? null : reproduced / total,
  };
}
