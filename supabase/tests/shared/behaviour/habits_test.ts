/** Habit mining on planted and on random sequences. */

import assert from "node:assert/strict";
import { type Habit, mineHabits } from "../../../../functions-shared/behaviour/mine_habits.ts";
import { seededRandom } from "../../../../functions-shared/behaviour/statistics.ts";

const SEEDS = 100;
const TOKENS = 30;

/** Symbols as people use them: a few all the time, most hardly ever. */
function zipf(random: () => number, tokens = TOKENS): string {
  let total = 0;
  for (let i = 1; i <= tokens; i++) total += 1 / i;
  let at = random() * total;
  for (let i = 1; i <= tokens; i++) if ((at -= 1 / i) <= 0) return `t${i}`;
  return `t${tokens}`;
}

const noise = (random: () => number, length: number, tokens?: number) =>
  Array.from({ length }, () => zipf(random, tokens));

/** Puts `habit` somewhere into `session`, half the time with something in between. */
function plant(random: () => number, session: string[], habit: readonly string[]): void {
  const round = [...habit];
  if (random() < 0.5) {
    round.splice(1 + Math.floor(random() * (habit.length - 1)), 0, zipf(random));
  }
  session.splice(Math.floor(random() * session.length), 0, ...round);
}

const names = (habits: Habit<string>[]) => habits.map((h) => h.steps.join(" ")).sort();

Deno.test("random streams give no habit, whatever the seed", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed);
    const sessions = Array.from({ length: 200 }, () => noise(random, 20));
    assert.deepEqual(names(mineHabits(sessions)), [], `seed ${seed}`);
  }
});

Deno.test("planted habits are all found, noise inside and all, and nothing else", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed * 31);
    const habits = ["abc", "defghi"].map((word) => [...word].slice(0, 3 + seed % 4));
    const sessions = Array.from({ length: 200 }, () => noise(random, 20));
    sessions.forEach((session, i) => {
      if (i % 7 === 0) plant(random, session, habits[0]!);
      if (i % 10 === 3) plant(random, session, habits[1]!);
    });
    assert.deepEqual(
      names(mineHabits(sessions)),
      names(
        habits.map((steps) => ({ steps }) as Habit<string>),
      ),
      `seed ${seed}`,
    );
  }
});

Deno.test("a habit made of everyday actions is found as long as their order is not everyday", () => {
  let found = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed * 977);
    const habit = Array.from({ length: 5 }, (_, i) => `t${2 + ((seed + i * 7) % (TOKENS - 1))}`);
    const sessions = Array.from({ length: 200 }, () => noise(random, 20));
    sessions.forEach((session, i) => i % 6 === 0 && plant(random, session, habit));
    const got = names(mineHabits(sessions));
    if (got.length === 1 && got[0] === habit.join(" ")) found++;
  }
  assert.ok(found >= 98, `${found} of ${SEEDS}`);
});

Deno.test("eight sessions are enough for a habit of everyday actions, nearly always whole, never more", () => {
  let found = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed * 977);
    const habit = Array.from({ length: 5 }, (_, i) => `t${2 + ((seed + i * 7) % (TOKENS - 1))}`);
    const sessions = Array.from({ length: 8 }, () => noise(random, 20));
    for (const session of sessions) plant(random, session, habit);
    const got = names(mineHabits(sessions));
    if (got.includes(habit.join(" "))) found++;
    for (const one of got) assert.ok(habit.join(" ").includes(one), `seed ${seed}: ${one}`);
  }
  assert.ok(found >= 57, `${found} of 60`);
});

Deno.test("a few random sessions give no habit either", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed * 13);
    const sessions = Array.from({ length: 5 + seed % 20 }, () => noise(random, 10 + seed % 15));
    assert.deepEqual(names(mineHabits(sessions)), [], `seed ${seed}`);
  }
});

Deno.test("the order of sessions changes nothing", () => {
  const random = seededRandom(5);
  const sessions = Array.from({ length: 120 }, () => noise(random, 15));
  sessions.forEach((session, i) => i % 5 === 0 && plant(random, session, [..."wxyz"]));
  const turned = sessions.map((session) => ({ session, at: random() }))
    .sort((a, b) => a.at - b.at).map(({ session }) => session);
  const essence = (habits: Habit<string>[]) =>
    habits.map(({ occurrences, ...rest }) => ({ ...rest, n: occurrences.length }));
  assert.deepEqual(essence(mineHabits(turned)), essence(mineHabits(sessions)));
});

Deno.test("five sessions that are nothing but the routine are enough, two are not", () => {
  const routine = [..."abcdef"];
  assert.deepEqual(names(mineHabits(Array(5).fill(routine))), ["a b c d e f"]);
  assert.deepEqual(names(mineHabits(Array(2).fill(routine), { perOccurrence: false })), []);
});

Deno.test("a routine of 25 steps with repeated actions is found whole", () => {
  const random = seededRandom(8);
  const routine = Array.from(
    { length: 25 },
    (_, i) => i % 7 === 3 ? "copy" : i % 7 === 5 ? "paste" : `r${i}`,
  );
  const sessions = Array.from(
    { length: 50 },
    () => routine.flatMap((step) => random() < 0.1 ? [step, zipf(random)] : [step]),
  );
  assert.deepEqual(names(mineHabits(sessions)), [routine.join(" ")]);
});

Deno.test("one long log without sessions: the routine, from its first step", () => {
  const random = seededRandom(9);
  const routine = Array.from({ length: 12 }, (_, i) => `r${i}`);
  const log = Array.from({ length: 40 }, () => [...routine, ...noise(random, 2)]).flat();
  const [habit] = mineHabits([log]);
  assert.deepEqual(habit!.steps, routine);
  assert.equal(habit!.support, 40);
});

Deno.test("a habit done three times a session is one round of it", () => {
  const random = seededRandom(10);
  const sessions = Array.from({ length: 8 }, () => [
    ...noise(random, 2),
    ...[..."abcde"],
    ...[..."abcde"],
    ...[..."abcde"],
    ...noise(random, 1),
  ]);
  assert.deepEqual(names(mineHabits(sessions)), ["a b c d e"]);
});

Deno.test("a step that is there half the time is optional, with its share", () => {
  const random = seededRandom(11);
  const sessions = Array.from({ length: 40 }, (_, i) => [
    ...noise(random, 3),
    "a",
    "b",
    ...(i % 2 === 0 ? ["x"] : []),
    "c",
    "d",
    ...noise(random, 4),
  ]);
  const [habit] = mineHabits(sessions);
  assert.deepEqual(habit!.steps, [..."abcd"]);
  assert.deepEqual(habit!.optional, [{ before: 2, step: "x", share: 0.5 }]);
});

Deno.test("a habit needs more than one day", () => {
  const sessions = Array.from({ length: 10 }, () => [..."abcde"]);
  assert.equal(mineHabits(sessions, { days: sessions.map(() => 1) }).length, 0);
  assert.equal(mineHabits(sessions, { days: sessions.map((_, i) => i % 2) }).length, 1);
});

Deno.test("worst cases end soon: one symbol, a short cycle, one long routine, 10,000 symbols", () => {
  const random = seededRandom(12);
  const sessions = (make: (i: number, s: number) => string) =>
    Array.from({ length: 200 }, (_, s) => Array.from({ length: 200 }, (_, i) => make(i, s)));
  const cases = {
    one: sessions(() => "a"),
    two: sessions((i) => "ab"[i % 2]!),
    cycle: sessions((i) => "abcde"[i % 5]!),
    routine: sessions((i) => `s${i}`),
    random30: sessions(() => `t${Math.floor(random() * 30)}`),
    distinct: sessions(() => `t${Math.floor(random() * 10_000)}`),
  };
  for (const [name, list] of Object.entries(cases)) {
    const start = performance.now();
    const habits = mineHabits(list);
    const took = performance.now() - start;
    // 40,000 actions; alone on a core the slowest takes half a second
    assert.ok(took < 15_000, `${name}: ${took} ms`);
    if (["one", "two", "random30", "distinct"].includes(name)) {
      assert.deepEqual(names(habits), [], name);
    }
    if (name === "cycle") assert.deepEqual(names(habits), ["a b c d e"]);
  }
});
