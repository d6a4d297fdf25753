/** Learning from events: invariances, every detector, preferences, and the recorded sample. */

import assert from "node:assert/strict";
import { digestSessions } from "../../../../functions-shared/behaviour/digest.ts";
import { cutRounds } from "../../../../functions-shared/behaviour/learn_habits.ts";
import { learn, populationKeys } from "../../../../functions-shared/behaviour/learn.ts";
import {
  normalisePage,
  normaliseTarget,
  token,
} from "../../../../functions-shared/behaviour/normalise.ts";
import { DAY, defaults } from "../../../../functions-shared/behaviour/settings.ts";
import {
  seededRandom,
  tailBinomial,
  tailOfTrials,
  wilsonLower,
  wilsonUpper,
} from "../../../../functions-shared/behaviour/statistics.ts";
import type {
  BehaviourEvent,
  Counts,
  LearnedPattern,
} from "../../../../functions-shared/behaviour/types.ts";

const START = Date.UTC(2026, 2, 2, 9);
let made = 0;

/** One session; each event says how many ms after the one before it happened. */
function session(
  day: number,
  events: [after: number, event: Partial<BehaviourEvent>][],
): BehaviourEvent[] {
  let at = START + day * DAY;
  const session_id = `s${made++}`;
  return events.map(([after, event]) => {
    at += after;
    return {
      event_id: `e${String(made++).padStart(6, "0")}`,
      session_id,
      event_type: "click",
      module: "crm",
      page: "/leads",
      at,
      ...event,
    };
  });
}

const click = (target: string, payload = {}) => ({ target, payload });
const visit = (page: string, payload = {}) => ({ event_type: "navigation", page, payload });
const field = (name: string, payload = {}) => ({
  event_type: "input",
  target: name,
  payload: { field: name, ...payload },
});
const submit = (form: string, ok?: boolean) => ({
  event_type: "form_submit",
  payload: { form, ...(ok === undefined ? {} : { ok }) },
});
const choose = (control: string, choice: string) => ({
  event_type: "input",
  target: control,
  payload: { control, choice },
});

const patternsOf = (events: BehaviourEvent[], others?: Map<string, Counts>) =>
  learn(digestSessions(events), others).patterns;
const kinds = (events: BehaviourEvent[]) =>
  digestSessions(events).flatMap((d) => d.hits.map((h) => `${h.kind} ${h.page}#${h.target}`));

/** The sample app's recording, by person. */
async function recording(): Promise<Map<string, BehaviourEvent[]>> {
  const log = await Deno.readTextFile(
    new URL("../../../../scripts/sample/data/events.jsonl", import.meta.url),
  );
  const people = new Map<string, BehaviourEvent[]>();
  for (const line of log.trim().split("\n")) {
    const { user, events } = JSON.parse(line);
    const list = people.get(user) ?? [];
    for (const event of events) list.push({ ...event, at: Date.parse(event.occurred_at) });
    people.set(user, list);
  }
  return people;
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  return list.map((value) => ({ value, at: random() })).sort((a, b) => a.at - b.at).map((x) =>
    x.value
  );
}

Deno.test("the Wilson bounds are the published ones", () => {
  const checks: [number, number, number][] = [
    [2, 2, 0.425],
    [3, 3, 0.526],
    [5, 5, 0.649],
    [10, 10, 0.787],
    [8, 10, 0.541],
    [80, 100, 0.727],
  ];
  for (const [k, n, lower] of checks) {
    assert.equal(Math.round(wilsonLower(k, n) * 1000) / 1000, lower);
  }
  assert.deepEqual([wilsonLower(0, 0), wilsonLower(0, 5)], [0, 0]);
  assert.ok(Math.abs(wilsonUpper(2, 10) - (1 - wilsonLower(8, 10))) < 1e-12);
});

Deno.test("the chance of so many hits in unequal trials is exact, and never above its bound", () => {
  assert.ok(Math.abs(Math.exp(tailOfTrials(2, [0.5, 0.5, 0.5])) - 0.5) < 1e-12);
  assert.ok(Math.abs(Math.exp(tailOfTrials(1, [0.2, 0.3])) - (1 - 0.8 * 0.7)) < 1e-12);
  assert.ok(Math.abs(tailOfTrials(3, [0.1, 0.2, 0.3]) - Math.log(0.006)) < 1e-9);
  assert.equal(tailOfTrials(2, [0.5]), -Infinity);
  for (let k = 3; k <= 8; k++) {
    const chances = Array.from({ length: 8 }, (_, i) => 0.05 * (i + 1));
    assert.ok(tailOfTrials(k, chances) <= tailBinomial(k, 8, 1.8) + 1e-9);
  }
});

Deno.test("ids leave paths and selectors, names stay", () => {
  assert.equal(normalisePage("/leads/42/edit?tab=1#x"), "/leads/:id/edit");
  assert.equal(normalisePage("/u/7a1b0c9e-1111-4222-8333-444455556666/"), "/u/:id");
  assert.equal(normalisePage("/orders/01HZX3KQ7TB9M2N4P5R6S8V0WY"), "/orders/:id");
  assert.equal(normalisePage("/settings/billing-address"), "/settings/billing-address");
  assert.equal(normaliseTarget("row-482133"), "row-:id");
  assert.equal(normaliseTarget("btn-12"), "btn-12");
  assert.equal(
    token({
      event_id: "",
      session_id: "",
      event_type: "click",
      module: "crm",
      page: "/leads/7",
      target: "#save",
      at: 0,
    }),
    "click:crm:/leads/:id##save",
  );
});

Deno.test("order, batches and duplicates of the events change nothing (100 seeds)", async () => {
  const people = await recording();
  for (const events of people.values()) {
    const expected = learn(digestSessions(events));
    for (let seed = 1; seed <= 17; seed++) {
      const random = seededRandom(seed);
      const again = shuffled([...events, ...events.slice(0, seed * 3)], random);
      assert.deepEqual(learn(shuffled(digestSessions(again), random)), expected);
    }
  }
});

Deno.test("a clock that is off by a constant changes times, not what is learned", async () => {
  const events = (await recording()).get("ana")!;
  const essence = (patterns: LearnedPattern[]) =>
    patterns.map(({ last_detected_at: _, ...rest }) => rest);
  const moved = events.map((event) => ({ ...event, at: event.at + 7 * DAY }));
  assert.deepEqual(essence(patternsOf(moved)), essence(patternsOf(events)));
});

Deno.test("the sample's people: each one's routine, choice and trouble, and nothing for the wanderer", async () => {
  const people = await recording();
  const of = (name: string) => patternsOf(people.get(name)!);
  const say = (patterns: LearnedPattern[]) =>
    patterns.map(({ pattern_type, metadata: m }) =>
      pattern_type === "workflow_habit"
        ? `habit ${(m["sequence"] as string[]).map((t) => t.split("#").at(-1)).join(" ")}`
        : pattern_type === "preference"
        ? `prefers ${m["control"]}=${m["value"]}`
        : `${m["kind"]} ${m["target"] ?? m["page"]}`
    );
  const includes = (name: string, ...expected: (string | RegExp)[]) => {
    const said = say(of(name));
    for (const one of expected) {
      assert.ok(
        said.some((s) => typeof one === "string" ? s === one : one.test(s)),
        `${name}: ${one} not in\n${said.join("\n")}`,
      );
    }
  };
  includes(
    "ana",
    /^habit (?:\S+ )?status sort lead-row \S+ log-call next-step/,
    "prefers filter=new",
    "prefers sort=newest",
    "prefers next-step=call again",
  );
  includes(
    "ben",
    "retry lead-form",
    "abandon lead-form",
    "rage save-lead",
    /^habit .*lead-form.name.*lead-form.phone.*save-lead/,
  );
  includes(
    "carla",
    /^habit .*range.*by-source export-csv$/,
    "error export-csv",
    "prefers group=source",
  );
  includes("dev", "pingpong /leads/:id", "uturn /leads/:id");
  includes(
    "elif",
    "dead score-badge",
    "rage score-badge",
    "prefers view=table",
    "prefers sort=score",
  );
  const noor = of("noor").filter((p) => p.pattern_type !== "struggle");
  assert.deepEqual(say(noor), []);
});

Deno.test("rage: three clicks in a second on one target, unless it is made for that", () => {
  const run = (target: string, payload = {}) =>
    kinds(
      session(0, [[0, click(target, payload)], [300, click(target, payload)], [
        300,
        click(target, payload),
      ], [60_000, visit("/home")]]),
    );
  assert.deepEqual(run("#save"), ["rage /leads##save"]);
  assert.deepEqual(run("#more", { label: "Next" }), []);
  assert.deepEqual(run("#text", { selection: true }), []);
  assert.deepEqual(run("textarea#note"), []);
  assert.deepEqual(
    kinds(session(0, [[0, click("#save")], [700, click("#save")], [700, click("#save")]])),
    [],
  );
  const spots = (x: number) =>
    kinds(session(0, [0, x, 2 * x].map((x, i) => [i ? 300 : 0, { payload: { x, y: 0 } }])));
  assert.deepEqual(spots(10), ["rage /leads#"]);
  assert.deepEqual(spots(40), []);
});

Deno.test("a target that many people click in runs without trouble is no rage", () => {
  const run: [number, Partial<BehaviourEvent>][] = [
    [0, click("#day")],
    [200, click("#day")],
    [200, click("#day")],
    [60_000, visit("/home")],
  ];
  const events = [0, 1, 2].flatMap((day) => session(day, run));
  assert.ok(populationKeys(digestSessions(events)).includes("t\tcrm\t/leads\t#day"));
  const others = (f: number) => new Map([["t\tcrm\t/leads\t#day", { users: 6, n: 30, k: 20, f }]]);
  assert.equal(patternsOf(events, others(0)).length, 0);
  assert.equal(patternsOf(events, others(10)).length, 1);
});

Deno.test("dead, error, retry, thrash: what the events say, and not more", () => {
  assert.deepEqual(kinds(session(0, [[0, click("#a", { dead: true })], [500, click("#b")]])), [
    "dead /leads##a",
  ]);
  assert.deepEqual(
    kinds(
      session(0, [[0, click("#a")], [500, click("#b")], [900, { event_type: "error" }], [100, {
        event_type: "error",
      }]]),
    ),
    ["error /leads##b"],
  );
  assert.deepEqual(kinds(session(0, [[0, click("#a")], [2_500, { event_type: "error" }]])), []);
  assert.deepEqual(kinds(session(0, [[0, submit("f")], [20_000, submit("f")]])), [
    "retry /leads#f",
  ]);
  assert.deepEqual(kinds(session(0, [[0, submit("f", true)], [20_000, submit("f", true)]])), []);
  assert.deepEqual(
    kinds(session(0, [[0, submit("f")], [5_000, visit("/leads")], [5_000, submit("f")]])),
    [],
  );
  const edits = (n: number) =>
    kinds(session(0, Array.from({ length: n }, () => [900, field("phone", { changed: true })])));
  assert.deepEqual(edits(4), ["thrash /leads#phone"]);
  assert.deepEqual(edits(3), []);
});

Deno.test("abandon: inputs without a submit, taken back by a submit within a day", () => {
  const leave = (day: number) =>
    session(day, [[0, field("name")], [900, field("phone")], [900, visit("/home")]]);
  const later = (after: number) => session(0, [[after, submit("")], [1_000, visit("/home")]]);
  const kindsOf = (events: BehaviourEvent[]) => patternsOf(events).map((p) => p.metadata["kind"]);
  assert.deepEqual(kindsOf([...leave(0), ...leave(3)]), ["abandon"]);
  assert.deepEqual(kindsOf([...leave(0), ...leave(3), ...later(DAY / 2)]), []);
  assert.deepEqual(kindsOf([...leave(0), ...leave(3), ...later(2 * DAY)]), ["abandon"]);
});

Deno.test("a refused submit does not finish a form", () => {
  const attempt = (ok: boolean) =>
    kinds(session(0, [[0, field("name")], [900, field("phone")], [900, submit("", ok)], [
      90_000,
      visit("/home"),
    ]]));
  assert.deepEqual(attempt(false), ["abandon /leads#"]);
  assert.deepEqual(attempt(true), []);
});

Deno.test("a form is abandoned once the session is known to be over", () => {
  const type = (day: number) => session(day, [[0, field("name")], [900, field("phone")]]);
  const digests = digestSessions([...type(0), ...type(3)]);
  const last = START + 3 * DAY + 900;
  assert.equal(learn(digests).patterns.length, 0);
  assert.equal(learn(digests, undefined, { heardAt: last + 60_000 }).patterns.length, 0);
  assert.equal(learn(digests, undefined, { heardAt: last + 31 * 60_000 }).patterns.length, 1);
});

Deno.test("paths: u-turn, ping-pong and refresh, by the pages themselves", () => {
  assert.deepEqual(
    kinds(session(0, [[0, visit("/a")], [9_000, visit("/b/1")], [3_000, visit("/a")]])),
    ["uturn /b/:id#"],
  );
  assert.deepEqual(
    kinds(session(0, [[0, visit("/a")], [9_000, visit("/b/1")], [8_000, visit("/a")]])),
    [],
  );
  assert.deepEqual(
    kinds(
      session(0, [
        [0, visit("/a")],
        ...["/b", "/a", "/b", "/a"].map((
          p,
        ): [number, Partial<BehaviourEvent>] => [9_000, visit(p)]),
      ]),
    ),
    ["pingpong /a#/b"],
  );
  assert.deepEqual(
    kinds(session(0, [[0, visit("/a")], [3_000, visit("/a")], [3_000, visit("/a")]])),
    ["refresh /a#"],
  );
  assert.deepEqual(
    kinds(session(0, [[0, visit("/l/1")], [3_000, visit("/l/2")], [3_000, visit("/l/3")]])),
    [],
  );
});

Deno.test("a struggle everybody has is no struggle of this person, and ten clean visits resolve it", () => {
  const bad = (day: number) => session(day, [[0, click("#a", { dead: true })], [500, click("#b")]]);
  const clean = (day: number) => session(day, [[0, click("#b")]]);
  const events = [0, 1, 2, 3].flatMap(bad);
  const everybody = (k: number) =>
    new Map<string, Counts>([
      ["p\tcrm\t/leads", { users: 9, n: 100, k: 0, f: 0 }],
      ["s\tdead\tcrm\t/leads\t#a", { users: 9, n: 0, k, f: 0 }],
    ]);
  assert.equal(patternsOf(events, everybody(80)).length, 0);
  assert.equal(patternsOf(events, everybody(10)).length, 1);
  assert.equal(
    patternsOf([...events, ...Array.from({ length: 9 }, (_, i) => clean(4 + i)).flat()]).length,
    1,
  );
  assert.equal(
    patternsOf([...events, ...Array.from({ length: 10 }, (_, i) => clean(4 + i)).flat()]).length,
    0,
  );
});

Deno.test("preference: most sessions, several days, ahead of what everybody picks", () => {
  const pick = (days: number[], value: (i: number) => string) =>
    days.flatMap((day, i) => session(day, [[0, choose("view", value(i))]]));
  const days = [...Array(10).keys()];
  const learned = (events: BehaviourEvent[], others?: Map<string, Counts>) =>
    patternsOf(events, others).map((p) => [p.metadata["value"], p.frequency]);
  assert.deepEqual(learned(pick(days, () => "table")), [["table", 10]]);
  assert.deepEqual(learned(pick(days, (i) => i % 10 < 8 ? "table" : "cards")), [["table", 8]]);
  assert.deepEqual(learned(pick(days, (i) => i % 2 ? "table" : "cards")), []);
  assert.deepEqual(learned(pick([0, 1, 2, 3], () => "table")), []);
  assert.deepEqual(learned(pick([0, 0, 0, 1, 1, 1], () => "table")), []);
  const everybody = new Map<string, Counts>([
    ["c\tcrm\t/leads\tview", { users: 20, n: 200, k: 0, f: 0 }],
    ["v\tcrm\t/leads\tview\ttable", { users: 20, n: 0, k: 190, f: 0 }],
  ]);
  assert.deepEqual(learned(pick(days, () => "table"), everybody), []);
});

Deno.test("whoever chooses at random among three has hardly ever a preference (100 seeds)", () => {
  let wrong = 0;
  for (let seed = 1; seed <= 100; seed++) {
    const random = seededRandom(seed);
    const events = Array.from(
      { length: 30 },
      (_, day) => session(day, [[0, choose("view", ["a", "b", "c"][Math.floor(random() * 3)]!)]]),
    ).flat();
    wrong += patternsOf(events).length;
  }
  assert.ok(wrong <= 1, `${wrong} of 100`);
});

Deno.test("drift: the last two weeks count when they clearly say something else", () => {
  const events = [...Array(40).keys()].flatMap((day) =>
    session(day, [[0, choose("view", day < 28 ? "cards" : "table")]])
  );
  const [preference] = patternsOf(events);
  assert.equal(preference!.metadata["value"], "table");
  assert.equal(preference!.metadata["drift"], true);
  assert.equal(preference!.key, "crm|/leads|view");
});

Deno.test("sessions end after 30 minutes; rounds end where a routine starts over", () => {
  const events = session(0, [[0, click("#a")], [29 * 60_000, click("#b")], [
    31 * 60_000,
    click("#c"),
  ]]);
  assert.deepEqual(digestSessions(events).map((d) => d.tokens.length), [2, 1]);
  const submitToken = "form_submit:crm:/leads#f";
  assert.deepEqual(
    cutRounds(["a", "b", submitToken, "a", "b", submitToken, "c"]).map((
      r,
    ) => [r.from, r.tokens.length]),
    [[0, 3], [3, 4]],
  );
  assert.equal(cutRounds(["a", submitToken, "b", "c"]).length, 1);
});

Deno.test("a session as long as a machine makes it stays within its bounds", () => {
  const events = session(0, Array.from({ length: 20_000 }, (_, i) => [100, click(`#b${i % 3}`)]));
  const start = performance.now();
  const [digest] = digestSessions(events);
  assert.equal(digest!.events, defaults.sessionEvents);
  assert.equal(digest!.tokens.length, defaults.sessionTokens);
  assert.ok(performance.now() - start < 2_000);
});
