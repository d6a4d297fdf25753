/**
 * What can be foreseen of the sample log at all: the share of right first guesses of somebody who
 * has read the scripts of the people in it, knows who it is and which day, has seen the visit so far,
 * and does not know how the dice will fall.
 *
 * The scripts are played thousands of times on paper; the best guess at a point of a visit is what
 * most of the visits did that began in the same way. Where too few began so, the guess is given
 * more than anybody could know: the dice thrown so far, those for later rounds among them. So the
 * share is, but for chance, an upper bound of every predictor's, however much it has learned from.
 */

import { seededRandom } from "../../../functions-shared/behaviour/statistics.ts";
import { Hand } from "../../sample/recorder/hand.ts";
import { PEOPLE, type Person } from "../../sample/recorder/people.ts";
import { Chance } from "../../sample/recorder/random.ts";
import { firstLeads } from "../../sample/data.js";
import { PaperApp, type PaperLead } from "./paper_app.ts";

/** Recordings played, and visits played on from one point of a visit. */
const RECORDINGS = 2_000;
const FORKS = 150;
/** Visits that must have begun in the same way. */
const ENOUGH = 40;

/** Known dice first, then others. */
class Dice extends Chance {
  readonly thrown: number[] = [];

  constructor(private readonly known: readonly number[], private readonly others: () => number) {
    super(0);
  }

  override next(): number {
    const value = this.known[this.thrown.length] ?? this.others();
    this.thrown.push(value);
    return value;
  }
}

interface Visit {
  actions: string[];
  /** Dice thrown before each action was seen. */
  thrown: number[];
  dice: readonly number[];
}

/** Plays a visit as the recorder does. */
async function play(person: Person, day: number, leads: PaperLead[], dice: Dice): Promise<Visit> {
  dice.between(0, 2_400_000);
  const actions: string[] = [], thrown: number[] = [];
  const app = new PaperApp(leads, (action) => {
    if (action === actions.at(-1)) return;
    actions.push(action);
    thrown.push(dice.thrown.length);
  });
  const hand = new Hand(app.page(), dice, () => Promise.resolve());
  await hand.think(2, 5);
  // a script may wait for a row that is not there; in the recording none did
  await person.visit(hand, day).catch(() => {});
  return { actions, thrown, dice: dice.thrown };
}

/** What the scripts look at besides the dice. */
const dayKind = (day: number) => `${day % 7 === 4} ${day < 21}`;

/** Actions that followed, and how often. */
type Counts = Map<string, number>;

function add(counts: Counts, action: string | undefined): void {
  if (action !== undefined) counts.set(action, (counts.get(action) ?? 0) + 1);
}

/**
 * @param recorded actions of each person's visits, to check that the paper app gives them.
 * @returns shares of every action after the first, and of the person's own ones only.
 * @throws if a visit on paper is not the recorded one.
 */
export async function ceiling(
  recorded: ReadonlyMap<string, readonly (readonly string[])[]>,
): Promise<[all: number, own: number]> {
  const others = seededRandom(777);
  let asked = 0, right = 0, askedOwn = 0, rightOwn = 0;
  for (const [p, person] of PEOPLE.entries()) {
    const visits: { visit: Visit; day: number; before: PaperLead[] }[] = [];
    const leads = firstLeads() as PaperLead[];
    for (const [i, day] of person.days.entries()) {
      const before = structuredClone(leads);
      const chance = new Chance(p * 1000 + day);
      const visit = await play(person, day, leads, new Dice([], () => chance.next()));
      check(visit.actions, recorded.get(person.name)![i]!, `${person.name}, day ${day}`);
      visits.push({ visit, day, before });
    }
    const after = await played(person, visits, others);
    for (const { visit: { actions, thrown, dice }, day, before } of visits) {
      let begin = dayKind(day);
      for (let i = 0; i + 1 < actions.length; i++) {
        begin += `\n${actions[i]}`;
        let counts = after.get(begin)!;
        if (sum(counts) < ENOUGH) {
          counts = new Map();
          for (let fork = 0; fork < FORKS; fork++) {
            const again = new Dice(dice.slice(0, thrown[i]), others);
            const visit = await play(person, day, structuredClone(before), again);
            add(counts, visit.actions[i + 1]);
          }
        }
        const [guess] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? [];
        const isRight = Number(guess === actions[i + 1]);
        asked++;
        right += isRight;
        if (isConsequence(actions, i + 1)) continue;
        askedOwn++;
        rightOwn += isRight;
      }
    }
  }
  return [right / asked, rightOwn / askedOwn];
}

/** What followed each beginning of the visits, in many recordings. */
async function played(
  person: Person,
  visits: readonly { visit: Visit; day: number }[],
  others: () => number,
): Promise<Map<string, Counts>> {
  const after = new Map<string, Counts>();
  for (const { visit, day } of visits) {
    let begin = dayKind(day);
    for (const action of visit.actions) after.set(begin += `\n${action}`, new Map());
  }
  for (let recording = 0; recording < RECORDINGS; recording++) {
    const leads = firstLeads() as PaperLead[];
    for (const day of person.days) {
      const { actions } = await play(person, day, leads, new Dice([], others));
      let begin = dayKind(day);
      for (let i = 0; i < actions.length; i++) {
        const counts = after.get(begin += `\n${actions[i]}`);
        if (counts === undefined) break;
        add(counts, actions[i + 1]);
      }
    }
  }
  return after;
}

function sum(counts: Counts): number {
  return [...counts.values()].reduce((a, b) => a + b, 0);
}

/** A page that comes of a click or a submit, at once. */
function isConsequence(actions: readonly string[], at: number): boolean {
  return actions[at]!.startsWith("navigation:") &&
    /^(?:click|form_submit):/.test(actions[at - 1]!);
}

/** The first visit begins before the client is there; which area a new page is in, it may say late. */
function check(actions: readonly string[], recorded: readonly string[], which: string): void {
  const name = (action: string) => action.replace(/^navigation:\w+:/, "navigation:");
  const played = actions.slice(recorded[0]!.startsWith("navigation:") ? 0 : 1).map(name);
  if (played.join("\n") !== recorded.map(name).join("\n")) {
    throw new Error(`${which}: the visit on paper is not the recorded one`);
  }
}
