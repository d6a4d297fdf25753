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

/** Ana's morning round: new leads, newest first, call, plan the next step, back. */
const ana: Person = {
  name: "ana",
  days: weekdays(WEEKS, 0, 1, 2, 3, 4),
  hour: 8,
  async visit(hand) {
    if (hand.chance.maybe(0.25)) await hand.press("nav-reports");
    if (hand.chance.maybe(0.25)) await hand.press("nav-leads");
    await backToList(hand);
    await hand.choose("status", "new");
    await hand.choose("sort", hand.chance.maybe(0.9) ? "newest" : "score");
    for (let round = hand.chance.between(1, 2); round > 0; round--) {
      await hand.press("lead-row", hand.chance.between(0, 4));
      await hand.press("log-call");
      if (hand.chance.maybe(0.25)) await hand.press("log-call");
      await hand.choose("next-step", hand.chance.maybe(0.92) ? "call again" : "meeting");
      if (hand.chance.maybe(0.2)) {
        await hand.type("note", "Left a message, tries again tomorrow");
        await hand.page.getByRole("button", { name: "Save note" }).click();
        await hand.think();
      }
      await hand.press("back-to-list");
    }
  },
};

/** Ben fights with the lead form: his phone numbers are never right, and often he gives up. */
const ben: Person = {
  name: "ben",
  days: weekdays(WEEKS, 0, 2, 3),
  hour: 11,
  async visit(hand) {
    if (hand.chance.maybe(0.4)) await hand.press("lead-row", hand.chance.between(0, 6));
    await backToList(hand);
    await hand.press("new-lead");
    await hand.type("name", "Petra Vogel");
    await hand.type("company", "Vogel & Sohn");
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
  },
};

/** Carla exports a report twice a week; when she narrows it to the week, the export breaks. */
const carla: Person = {
  name: "carla",
  days: weekdays(WEEKS, 0, 2, 3, 4),
  hour: 16,
  async visit(hand) {
    if (hand.chance.maybe(0.3)) await hand.press("lead-row", hand.chance.between(0, 9));
    await hand.press("nav-reports");
    await hand.choose("range", hand.chance.maybe(0.85) ? "month" : "year");
    await hand.press("by-source");
    await hand.press("export-csv");
    if (hand.chance.maybe(0.6)) {
      await hand.choose("range", "week");
      await hand.press("export-csv");
      if (hand.chance.maybe(0.5)) await hand.press("export-csv");
    }
    if (hand.chance.maybe(0.3)) await hand.press("nav-leads");
  },
};

/** Dev searches, finds nothing, opens leads only to leave them at once. */
const dev: Person = {
  name: "dev",
  days: weekdays(WEEKS, 1, 2, 4),
  hour: 14,
  async visit(hand) {
    for (const word of ["offer march", "Lindt", "Reyes"].slice(hand.chance.between(0, 1))) {
      await hand.search(word);
    }
    for (let looks = hand.chance.between(2, 3); looks > 0; looks--) {
      await hand.page.locator("[data-mira=lead-row]").nth(0).click();
      await hand.think(1.5, 4);
      await hand.page.goBack();
      await hand.think(2, 4);
    }
    if (hand.chance.maybe(0.3)) await hand.press("nav-reports");
  },
};

/** Elif likes cards, and in the last two weeks the table; she presses scores that cannot be pressed. */
const elif: Person = {
  name: "elif",
  days: weekdays(WEEKS, 0, 1, 3, 4),
  hour: 10,
  async visit(hand, day) {
    await hand.press(day < 21 ? "view-cards" : "view-table");
    await hand.choose("sort", "score");
    if (hand.chance.maybe(0.6)) {
      await hand.page.locator("[data-mira=score-badge]").nth(hand.chance.between(0, 3)).click();
      await hand.think(3, 5);
    }
    if (hand.chance.maybe(0.35)) await hand.hammer("score-badge", hand.chance.between(3, 5), 1);
    await hand.press("lead-row", hand.chance.between(0, 3));
    if (hand.chance.maybe(0.5)) await hand.choose("lead-status", "contacted");
    await hand.press("back-to-list");
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

async function backToList(hand: Hand): Promise<void> {
  if (!hand.page.url().endsWith("#/leads")) await hand.press("nav-leads");
}

/** Everybody, in the order of their names. */
export const PEOPLE: readonly Person[] = [ana, ben, carla, dev, elif, noor];
