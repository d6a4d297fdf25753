import type { Hand } from "./hand.ts";

/** A simulated user: when they come and what they do on a visit. */
export interface Person {
  name: string;
  /** Days of the recording (0 is a Monday) on which they come, and the hour. */
  days: number[];
  hour: number;
  visit(hand: Hand, day: number): Promise<void>;
}

const WEEKS = 5;

const weekdays = (weeks: number, ...which: number[]) =>
  Array.from({ length: weeks }, (_, week) => which.map((day) => week * 7 + day)).flat();

/*
 * What all of them have in common with people at a desk: the same few controls serve every task (the
 * list, the search, a row), nobody does one task only, steps that can go either way do, something
 * comes in between, and not everything begun is finished.
 */

/** Somebody rings: find them, open them, note the call or not. */
async function answerCall(hand: Hand): Promise<void> {
  await backToList(hand);
  await hand.search(hand.chance.pick(["Sato", "Granite", "Novak", "Fathom", "Berg"]));
  if (await hand.page.locator("[data-mira=lead-row]").count() === 0) return;
  await hand.press("lead-row");
  if (hand.chance.maybe(0.6)) await hand.press("log-call");
  if (hand.chance.maybe(0.3)) {
    await hand.choose("lead-status", hand.chance.pick(["contacted", "new"]));
  }
}

/** A look at the figures. */
async function glanceAtReports(hand: Hand): Promise<void> {
  await hand.press("nav-reports");
  if (hand.chance.maybe(0.4)) await hand.choose("range", hand.chance.pick(["month", "year"]));
  if (hand.chance.maybe(0.4)) await hand.press(hand.chance.pick(["by-source", "by-status"]));
}

/** A look through the list: narrowed, sorted, opened, in any order and not always all of it. */
async function browse(hand: Hand): Promise<void> {
  await backToList(hand);
  for (let steps = hand.chance.between(1, 3); steps > 0; steps--) {
    await hand.chance.pick([
      () => hand.choose("status", hand.chance.pick(["new", "contacted", "qualified"])),
      () => hand.choose("sort", hand.chance.pick(["score", "name"])),
      () => hand.press("view-cards"),
    ])();
  }
  if (hand.chance.maybe(0.6)) await openLead(hand, 4);
}

/** With a chance of `share`, something else for a moment; then back to where it came from. */
async function interrupted(hand: Hand, share: number): Promise<void> {
  if (!hand.chance.maybe(share)) return;
  await hand.press("nav-reports");
  if (hand.chance.maybe(0.5)) await hand.press("by-source");
  await hand.page.goBack();
  await hand.think(1, 4);
}

/** Before or after what they came for: one of the other things, on about every other visit. */
async function somethingElse(hand: Hand, share = 0.5): Promise<void> {
  if (!hand.chance.maybe(share)) return;
  await hand.chance.pick([answerCall, answerCall, glanceAtReports, browse])(hand);
}

/** Ana's morning round: new leads, newest first, call, plan the next step, back. */
const ana: Person = {
  name: "ana",
  days: weekdays(WEEKS, 0, 1, 2, 3, 4),
  hour: 8,
  async visit(hand, day) {
    await somethingElse(hand, 0.4);
    if (day % 7 === 4 && hand.chance.maybe(0.7)) return await glanceAtReports(hand);
    await backToList(hand);
    await hand.choose("status", "new");
    await hand.choose("sort", hand.chance.maybe(0.9) ? "newest" : "score");
    for (let round = hand.chance.between(1, 2); round > 0; round--) {
      await openLead(hand, 5);
      await interrupted(hand, 0.15);
      await hand.press("log-call");
      if (hand.chance.maybe(0.2)) await hand.press("log-call");
      await hand.choose("next-step", hand.chance.maybe(0.92) ? "call again" : "meeting");
      if (hand.chance.maybe(0.25)) {
        await hand.type("note", "Left a message, tries again tomorrow");
        await hand.page.getByRole("button", { name: "Save note" }).click();
        await hand.think();
      }
      await hand.press("back-to-list");
      await interrupted(hand, 0.1);
    }
    await somethingElse(hand);
  },
};

/** Ben fights with the lead form: his phone numbers are never right, and often he gives up. */
const ben: Person = {
  name: "ben",
  days: weekdays(WEEKS, 0, 2, 3),
  hour: 11,
  async visit(hand) {
    await somethingElse(hand, 0.6);
    await backToList(hand);
    await hand.press("new-lead");
    await hand.type("name", "Petra Vogel");
    await hand.type("company", "Vogel & Sohn");
    if (hand.chance.maybe(0.2)) await hand.type("email", "petra@vogel.example");
    await hand.type("phone", "0171 5550123");
    await hand.press("save-lead");
    for (const attempt of ["0171-5550123", "01715550123"]) {
      await hand.type("phone", attempt);
      await hand.press("save-lead");
    }
    if (hand.chance.maybe(0.5)) await hand.hammer("save-lead", hand.chance.between(4, 6));
    if (hand.chance.maybe(0.35)) {
      await hand.type("phone", "+491715550123");
      await hand.press("save-lead");
    }
    await hand.press("back-to-list");
    await somethingElse(hand, 0.6);
  },
};

/** Carla exports a report twice a week; when she narrows it to the week, the export breaks. */
const carla: Person = {
  name: "carla",
  days: weekdays(WEEKS, 0, 2, 3, 4),
  hour: 16,
  async visit(hand) {
    await somethingElse(hand);
    if (hand.chance.maybe(0.15)) return await browse(hand);
    if (!hand.page.url().endsWith("#/reports")) await hand.press("nav-reports");
    await hand.choose("range", hand.chance.maybe(0.85) ? "month" : "year");
    await hand.press("by-source");
    await hand.press("export-csv");
    if (hand.chance.maybe(0.6)) {
      await hand.choose("range", "week");
      await hand.press("export-csv");
      if (hand.chance.maybe(0.5)) await hand.press("export-csv");
    }
    await somethingElse(hand);
  },
};

/** Dev searches, finds nothing, opens leads only to leave them at once. */
const dev: Person = {
  name: "dev",
  days: weekdays(WEEKS, 1, 2, 4),
  hour: 14,
  async visit(hand) {
    if (hand.chance.maybe(0.3)) await browse(hand);
    await backToList(hand);
    for (const word of ["offer march", "Lindt", "Reyes"].slice(hand.chance.between(0, 1))) {
      await hand.search(word);
    }
    for (let looks = hand.chance.between(2, 3); looks > 0; looks--) {
      await hand.page.locator("[data-mira=lead-row]").nth(0).click();
      await hand.think(1.5, 4);
      await hand.page.goBack();
      await hand.think(2, 4);
    }
    await somethingElse(hand, 0.6);
  },
};

/** Elif likes cards, and in the last two weeks the table; she presses scores that cannot be pressed. */
const elif: Person = {
  name: "elif",
  days: weekdays(WEEKS, 0, 1, 3, 4),
  hour: 10,
  async visit(hand, day) {
    if (hand.chance.maybe(0.3)) await answerCall(hand);
    await backToList(hand);
    await hand.press(day < 21 ? "view-cards" : "view-table");
    await hand.choose("sort", "score");
    if (hand.chance.maybe(0.6)) {
      await hand.page.locator("[data-mira=score-badge]").nth(hand.chance.between(0, 3)).click();
      await hand.think(3, 5);
    }
    if (hand.chance.maybe(0.35)) await hand.hammer("score-badge", hand.chance.between(3, 5), 1);
    for (let leads = hand.chance.between(1, 3); leads > 0; leads--) {
      await openLead(hand, 4);
      if (hand.chance.maybe(0.5)) await hand.choose("lead-status", "contacted");
      if (hand.chance.maybe(0.3)) await hand.press("log-call");
      await hand.press("back-to-list");
    }
    if (hand.chance.maybe(0.4)) await glanceAtReports(hand);
  },
};

/** Noor wanders: no habit, no preference, whatever a miner finds here is wrong. */
const noor: Person = {
  name: "noor",
  days: weekdays(WEEKS, 0, 1, 2, 4),
  hour: 13,
  async visit(hand) {
    for (let steps = hand.chance.between(5, 9); steps > 0; steps--) {
      const act = hand.chance.pick([
        async () => (await backToList(hand), await hand.press("lead-row")),
        () => hand.press("nav-reports"),
        () => hand.press("nav-leads"),
        async () => (await backToList(hand),
          await hand.choose("status", hand.chance.pick(["won", "lost", "qualified"]))),
        async () => (await backToList(hand),
          await hand.choose("sort", hand.chance.pick(["newest", "score", "name"]))),
        async () => (await backToList(hand),
          await hand.press(hand.chance.pick(["view-cards", "view-table"]))),
        async () => (await backToList(hand),
          await hand.search(hand.chance.pick(["Sato", "Granite", "Novak"]))),
      ]);
      await act();
      if (await hand.page.locator("[data-mira=lead-row]").count() === 0) {
        await hand.press("nav-leads");
      }
    }
  },
};

/** Opens one of the first `most` leads of the list, if there is any. */
async function openLead(hand: Hand, most: number): Promise<void> {
  const rows = await hand.page.locator("[data-mira=lead-row]").count();
  if (rows === 0) return await hand.press("nav-leads");
  await hand.press("lead-row", hand.chance.between(0, Math.min(most, rows) - 1));
}

async function backToList(hand: Hand): Promise<void> {
  if (!hand.page.url().endsWith("#/leads")) await hand.press("nav-leads");
}

/** Everybody, in the order of their names. */
export const PEOPLE: readonly Person[] = [ana, ben, carla, dev, elif, noor];
