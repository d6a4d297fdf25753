/** Habits of people at work: routines that share steps, are interrupted, broken off, varied. */

import assert from "node:assert/strict";
import { mineHabits } from "../../../../functions-shared/behaviour/mine_habits.ts";
import { seededRandom } from "../../../../functions-shared/behaviour/statistics.ts";

const PEOPLE = 100;
const EVERYDAY = 40;

/** How a person works. Shares of the days or of the times. */
interface Ways {
  sessions: number;
  /** Days on which each routine is done. */
  done: number[];
  /** Steps with something else after them; routines with something else for a moment, or another begun. */
  slips: number;
  interrupted: number;
  brokenOff: number;
  /** Two neighbouring steps the other way round. */
  swapped: number;
  /** The second routine shares two steps with the first; the first has a step that is done half the time. */
  shared: boolean;
  optional: boolean;
  /** Halfway the first routine gets another end. */
  drift: boolean;
}

const calm: Ways = {
  sessions: 120,
  done: [0.2, 0.12, 0.1],
  slips: 0,
  interrupted: 0,
  brokenOff: 0,
  swapped: 0,
  shared: false,
  optional: false,
  drift: false,
};

/** One person: what they did, and the routines as planned. */
function person(seed: number, ways: Ways): { sessions: string[][]; routines: string[][] } {
  const random = seededRandom(seed * 7919);
  const below = (n: number) => Math.floor(random() * n);
  const weights = Array.from({ length: EVERYDAY }, (_, i) => 1 / (i + 1));
  const everyday = () => {
    let at = random() * weights.reduce((a, b) => a + b);
    return `t${1 + Math.max(0, weights.findIndex((weight) => (at -= weight) <= 0))}`;
  };
  let own = 0;
  // three steps in ten are what everybody does all the time
  const routines = ways.done.map(() => {
    const steps = new Set<string>();
    const size = 4 + below(4);
    while (steps.size < size) steps.add(random() < 0.3 ? everyday() : `s${own++}`);
    return [...steps];
  });
  if (ways.shared) routines[1]!.splice(1, 2, ...routines[0]!.slice(1, 3));
  const perform = (r: number, day: number): string[] => {
    let steps = [...routines[r]!];
    if (r === 0 && ways.drift && day >= ways.sessions / 2) steps[steps.length - 1] = "new-end";
    if (r === 0 && ways.optional && random() < 0.5) steps.splice(2, 0, "optional");
    if (random() < ways.brokenOff) steps = steps.slice(0, 1 + below(steps.length - 1));
    if (random() < ways.swapped && steps.length > 3) {
      const at = 1 + below(steps.length - 2);
      [steps[at], steps[at + 1]] = [steps[at + 1]!, steps[at]!];
    }
    return steps.flatMap((step) => random() < ways.slips ? [step, everyday()] : [step]);
  };
  const sessions = Array.from({ length: ways.sessions }, (_, day) => {
    const session = Array.from({ length: 3 + below(8) }, everyday);
    const due = routines.map((_, r) => r).filter((r) => random() < ways.done[r]!);
    due.forEach((r, i) => {
      const steps = perform(r, day);
      if (random() < ways.interrupted) {
        const other = due.length > 1
          ? perform(due[(i + 1) % due.length]!, day).slice(0, 2)
          : Array.from({ length: 1 + below(4) }, everyday);
        steps.splice(1 + below(steps.length - 1), 0, ...other);
      }
      session.splice(below(session.length + 1), 0, ...steps);
    });
    return session;
  });
  if (ways.drift) routines.push([...routines[0]!.slice(0, -1), "new-end"]);
  if (ways.optional) routines.push(routines[0]!.toSpliced(2, 0, "optional"));
  return { sessions, routines };
}

/** Longest common subsequence. */
function common(a: readonly string[], b: readonly string[]): number {
  let above = new Array<number>(b.length + 1).fill(0);
  for (const x of a) {
    const row = [0];
    b.forEach((y, j) => row.push(x === y ? above[j]! + 1 : Math.max(above[j + 1]!, row[j]!)));
    above = row;
  }
  return above.at(-1)!;
}

/** Over many people: planted routines, those found (four fifths of the longer of both agree), habits, those that are no part of a routine. */
function mined(ways: Partial<Ways>): Record<"planted" | "found" | "habits" | "wrong", number> {
  const sum = { planted: 0, found: 0, habits: 0, wrong: 0 };
  for (let seed = 1; seed <= PEOPLE; seed++) {
    const { sessions, routines } = person(seed, { ...calm, ...ways });
    const habits = mineHabits(sessions).map(({ steps }) => steps);
    const agree = (steps: string[], routine: string[]) =>
      common(steps, routine) >= 0.8 * Math.max(steps.length, routine.length);
    for (let r = 0; r < calm.done.length; r++) {
      // a routine that changed counts in either form
      const forms = r === 0 ? [routines[0]!, ...routines.slice(calm.done.length)] : [routines[r]!];
      sum.planted++;
      if (habits.some((steps) => forms.some((form) => agree(steps, form)))) sum.found++;
    }
    sum.habits += habits.length;
    sum.wrong += habits.filter((steps) =>
      !routines.some((routine) => common(steps, routine) === steps.length)
    ).length;
  }
  return sum;
}

/** Found at least `found` of a hundred routines; of three hundred habits at most one has a step too many. */
function expect(ways: Partial<Ways>, found: number): void {
  const sum = mined(ways);
  const said = JSON.stringify(sum);
  assert.ok(sum.found >= found / 100 * sum.planted, said);
  assert.ok(sum.habits >= found / 100 * sum.planted && sum.wrong <= 1, said);
}

Deno.test("routines with slips are found, and nothing else", () => {
  expect({}, 97);
  expect({ slips: 0.08 }, 97);
});

Deno.test("routines that share steps, or have a step that is done half the time, are told apart", () => {
  expect({ shared: true }, 97);
  expect({ optional: true }, 97);
});

Deno.test("routines interrupted, by other routines too, are found", () => {
  expect({ interrupted: 0.3 }, 95);
});

Deno.test("routines broken off every third time, or with steps the other way round, are found", () => {
  expect({ brokenOff: 0.3 }, 82);
  expect({ swapped: 0.2 }, 90);
});

Deno.test("a routine that gets another end is found, before or after", () => {
  expect({ drift: true }, 92);
});

Deno.test("several routines a day, most days: all are found", () => {
  expect({ done: [0.8, 0.5, 0.3] }, 100);
});

Deno.test("all of it at once: three routines in four are found, and nothing else", () => {
  const all = { slips: 0.05, interrupted: 0.15, brokenOff: 0.15, swapped: 0.1 };
  expect({ ...all, shared: true, optional: true }, 75);
  expect({ ...all, drift: true, done: [0.5, 0.3, 0.2] }, 85);
});
