/**
 * Sequences made to have the published statistics of the public sets (SPMF's and IPredict's tables:
 * how many sequences, how many items, how long, how often items come again), each by a mechanism of
 * its own, decided before any predictor was run on it. Fewer sequences where the public set has tens
 * of thousands; the sets themselves may be given as files.
 */

import { seededRandom } from "../../../functions-shared/behaviour/statistics.ts";
import type { Sequences } from "./types.ts";

type Random = () => number;

const below = (random: Random, n: number) => Math.floor(random() * n);
const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)]!;
/** A place in 0..n-1, the first ones most often (Zipf's law with exponent `s`). */
function zipf(n: number, s = 1): (random: Random) => number {
  const upTo = new Float64Array(n);
  let total = 0;
  for (let i = 0; i < n; i++) upTo[i] = total += (i + 1) ** -s;
  return (random) => {
    const at = random() * total;
    let low = 0, high = n - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (upTo[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
/** A length around `mean`, at least `least` (geometric). */
const length = (random: Random, mean: number, least: number) =>
  least + Math.floor(Math.log(1 - random()) / Math.log(1 - 1 / (mean - least + 1)));
const many = <T>(n: number, make: (i: number) => T): T[] =>
  Array.from({ length: n }, (_, i) => make(i));

/** A shop's clicks (as BMS WebView): 497 pages, a visit is about one kind of thing, order hardly matters. */
function shop(random: Random): Sequences {
  const topics = many(40, () => many(25, () => below(random, 497)));
  const links = many(497, () => many(3, () => below(random, 497)));
  const popular = zipf(497), within = zipf(25, 0.8), topic = zipf(40, 0.7);
  return many(4_000, () => {
    const about = topics[topic(random)]!;
    const visit: number[] = [];
    for (let left = length(random, 9, 6); left > 0;) {
      const way = random();
      const page = way < 0.7
        ? about[within(random)]!
        : way < 0.85 && visit.length > 0
        ? links[visit.at(-1)!]![below(random, 3)]!
        : popular(random);
      if (visit.includes(page) && random() < 0.9) continue;
      visit.push(page);
      left--;
    }
    return visit;
  });
}

/** A portal's clicks (as KOSARAK): 10,000 pages, a few of them everybody's, two interests a visit. */
function portal(random: Random): Sequences {
  const interests = many(300, () => many(60, () => below(random, 10_000)));
  const popular = zipf(10_000, 1.1), within = zipf(60), interest = zipf(300, 0.8);
  return many(5_000, () => {
    const two = [interests[interest(random)]!, interests[interest(random)]!];
    const visit: number[] = [];
    for (let left = length(random, 9, 4); left > 0; left--) {
      const page = random() < 0.45 ? popular(random) : pick(random, two)[within(random)]!;
      if (!visit.includes(page)) visit.push(page);
    }
    return visit;
  });
}

/** A big event's site (as FIFA): 3,000 linked pages in sections, menus gone back to, series leafed through. */
function site(random: Random): Sequences {
  const section = (page: number) => Math.floor(page / 50);
  const at = zipf(50, 0.9), sections = zipf(60, 0.8), link = zipf(8);
  const links = many(
    3_000,
    (page) =>
      many(8, () => random() < 0.8 ? section(page) * 50 + at(random) : below(random, 3_000)),
  );
  return many(2_000, () => {
    let page = sections(random) * 50;
    const visit = [page];
    for (let left = length(random, 34, 5); left > 1; left--) {
      const way = random();
      if (way < 0.55) page = links[page]![link(random)]!;
      else if (way < 0.75) page = page % 50 === 49 ? page - 49 : page + 1;
      else if (way < 0.92) page = section(page) * 50;
      else page = sections(random) * 50 + at(random);
      if (page !== visit.at(-1)) visit.push(page);
    }
    return visit;
  });
}

/** Sign language (as SIGN): 267 marks of hands, head and eyes, each with its own grammar, interleaved. */
function signs(random: Random): Sequences {
  const tracks = many(4, (t) => many(66, (i) => t * 66 + i));
  const after = new Map(
    tracks.flat().map((mark) => {
      const own = tracks[Math.floor(mark / 66)]!;
      return [mark, many(4, () => pick(random, own))];
    }),
  );
  const start = zipf(66), choice = zipf(4, 1.3);
  return many(730, () => {
    const now = tracks.map((track) => track[start(random)]!);
    const sequence: number[] = [];
    for (let left = length(random, 52, 18); left > 0; left--) {
      const t = random() < 0.5 ? 0 : 1 + below(random, 3);
      sequence.push(now[t]!);
      now[t] = random() < 0.15 ? tracks[t]![start(random)]! : after.get(now[t]!)![choice(random)]!;
    }
    return sequence;
  });
}

/** A news site by category (as MSNBC): 17 categories, long stays, few tastes. */
function news(random: Random): Sequences {
  const category = zipf(17, 0.9);
  const tastes = many(6, () => many(17, () => many(3, () => category(random))));
  const stays = many(17, () => 0.2 + 0.6 * random());
  return many(3_000, () => {
    const taste = pick(random, tastes);
    const visit = [category(random)];
    for (let left = length(random, 13, 5); left > 1; left--) {
      const now = visit.at(-1)!;
      visit.push(
        random() < stays[now]!
          ? now
          : random() < 0.75
          ? pick(random, taste[now]!)
          : category(random),
      );
    }
    return visit;
  });
}

/** Sentences (as BIBLE and LEVIATHAN by words): word classes that follow two before, set phrases, a subject. */
function sentences(random: Random): Sequences {
  const sizes = many(50, (i) => i < 20 ? 2 + below(random, 8) : 100 + below(random, 300));
  const words: number[][] = [];
  let next = 0;
  for (const size of sizes) words.push(many(size, () => next++));
  const grammar = new Map<number, number[]>();
  const follow = zipf(4, 1.2);
  const classAfter = (a: number, b: number) => {
    const key = a * 50 + b;
    let list = grammar.get(key);
    if (list === undefined) {
      grammar.set(
        key,
        list = many(4, () => random() < 0.6 ? below(random, 20) : below(random, 50)),
      );
    }
    return list[follow(random)]!;
  };
  const inClass = sizes.map((size) => zipf(size, 1.1));
  const phrases = many(250, () =>
    many(3 + below(random, 4), () => {
      const c = below(random, 50);
      return words[c]![inClass[c]!(random)]!;
    }));
  const phrase = zipf(250), subject = many(120, () => many(15, () => below(random, next)));
  return many(2_500, () => {
    const about = pick(random, subject);
    let a = below(random, 50), b = below(random, 50);
    const sentence: number[] = [];
    const long = length(random, 21, 6);
    while (sentence.length < long) {
      if (random() < 0.06) sentence.push(...phrases[phrase(random)]!);
      [a, b] = [b, classAfter(a, b)];
      sentence.push(
        b >= 20 && random() < 0.2 ? pick(random, about) : words[b]![inClass[b]!(random)]!,
      );
    }
    return sentence;
  });
}

/** People at work: shared pages, routines of their own, two at a time, interrupted, varied. */
function routines(random: Random): Sequences {
  const page = zipf(60, 0.8);
  const people = many(25, () => many(4, () => many(4 + below(random, 7), () => page(random))));
  return many(1_500, () => {
    const own = pick(random, people);
    const day: number[] = [];
    for (let tasks = 1 + below(random, 3); tasks > 0; tasks--) {
      const open = random() < 0.3 ? [pick(random, own), pick(random, own)] : [pick(random, own)];
      const at = open.map(() => 0);
      while (open.some((routine, r) => at[r]! < routine.length)) {
        const r = below(random, open.length);
        if (at[r]! >= open[r]!.length) continue;
        const way = random();
        if (way < 0.08) day.push(page(random));
        else if (way < 0.12) at[r]!++;
        else if (way < 0.14) break;
        else day.push(open[r]![at[r]!++]!);
      }
    }
    return day.length > 1 ? day : [...day, page(random), page(random)];
  });
}

/** Generators by name, with the public set whose statistics each has. */
const FAMILIES: Record<string, (random: Random) => Sequences> = {
  "shop (BMS)": shop,
  "portal (KOSARAK)": portal,
  "site (FIFA)": site,
  "signs (SIGN)": signs,
  "news (MSNBC)": news,
  "sentences (BIBLE)": sentences,
  "routines": routines,
};

/** All families, each from its own seed. */
export function families(): { name: string; sequences: Sequences }[] {
  return Object.entries(FAMILIES).map(([name, make], i) => ({
    name,
    sequences: make(seededRandom(101 + i)),
  }));
}
