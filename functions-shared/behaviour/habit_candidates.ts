/** The closed patterns that may be habits. */

import type { Corpus } from "./corpus.ts";
import { bystander, grow, loops } from "./grow_habit.ts";
import { type Grown, nearlyAll, occurrencesOf } from "./occurrences.ts";
import type { HabitSettings } from "./settings.ts";
import { expectation, logChance } from "./shuffle_null.ts";
import { compareText } from "./statistics.ts";
import type { Triple } from "./triples.ts";

/** Closed patterns around every triple that chance alone hardly explains. */
export function candidates<S>(
  corpus: Corpus<S>,
  triples: readonly Triple[],
  settings: HabitSettings,
): Grown[] {
  const actions = corpus.sequences.reduce((sum, sequence) => sum + sequence.length, 1);
  const seedLimit = Math.min(
    settings.maxSeeds,
    Math.max(40, Math.floor(settings.maxWork / actions)),
  );
  const seeds = triples
    // a seed that repeats itself starts in the middle of a round; growth adds repeats where they belong
    .filter(({ pattern }) => new Set(pattern).size === 3)
    .map(({ pattern, groups, occurrences }) => ({
      pattern: pattern as number[],
      support: corpus.perOccurrence ? occurrences : groups,
      chance: logChance(groups, occurrences, expectation(corpus, pattern, settings.maxGap)),
    }))
    .filter(({ chance }) => chance <= Math.log(settings.alpha))
    .sort((a, b) => a.chance - b.chance || compareText(a.pattern.join(), b.pattern.join()))
    .slice(0, seedLimit);
  const found: Grown[] = [], doubtful: Grown[] = [];
  const visited = new Set<string>();
  const queue: { pattern: number[]; support: number }[] = seeds;
  for (let at = 0; at < queue.length && visited.size < 2 * seedLimit; at++) {
    const { pattern, support } = queue[at]!;
    if (!isNew(pattern, visited)) continue;
    // a part of something already found with (nearly) the same support says nothing new
    const known = found.some((g) =>
      nearlyAll(g.support, support, settings.closure) && isPart(pattern, g.pattern)
    );
    if (known) continue;
    const { closed, branches } = grow(corpus, pattern, settings);
    if (closed.pattern.length > pattern.length && !isNew(closed.pattern, visited)) continue;
    const extra = bystander(corpus, closed.pattern, settings);
    if (extra !== undefined) {
      const rest = closed.pattern.toSpliced(extra, 1);
      if (rest.length >= settings.minLength && !loops(rest)) {
        queue.push({ pattern: rest, support: closed.support });
      }
      doubtful.push({ ...closed, isDoubtful: true });
      continue;
    }
    const turned = startAtTheStart(corpus, closed, settings);
    if (turned !== closed && !isNew(turned.pattern, visited)) continue;
    found.push(turned);
    for (const branch of branches) queue.push({ pattern: branch, support: closed.support });
  }
  return [...found, ...doubtful];
}

function isNew(pattern: readonly number[], visited: Set<string>): boolean {
  const size = visited.size;
  return visited.add(pattern.join()).size > size;
}

/**
 * A habit done several times in a row is found at any of its rotations: the one that most sessions
 * begin with is the habit.
 */
function startAtTheStart<S>(corpus: Corpus<S>, grown: Grown, settings: HabitSettings): Grown {
  const closes = grown.pattern.length > settings.minLength &&
    grown.pattern[0] === grown.pattern.at(-1);
  const core = closes ? grown.pattern.slice(0, -1) : grown.pattern;
  const again = occurrencesOf(corpus, [...core, ...core.slice(0, 2)], settings.maxGap);
  if (again.support < grown.support / 2) return grown;
  const firsts = new Map<number, number>();
  for (const { sequence, positions } of again.occurrences) {
    const line = corpus.sequences[sequence]!;
    const first = line.findIndex((v) => core.includes(v));
    if (first <= positions[0]!) firsts.set(line[first]!, (firsts.get(line[first]!) ?? 0) + 1);
  }
  let best = grown, most = 0;
  for (let turn = 0; turn < core.length; turn++) {
    const begins = firsts.get(core[turn]!) ?? 0;
    if (begins <= most) continue;
    const turned = [...core.slice(turn), ...core.slice(0, turn)];
    const rotated = turn === 0 && !closes ? grown : occurrencesOf(corpus, turned, settings.maxGap);
    if (!nearlyAll(rotated.support, grown.support, settings.closure)) continue;
    best = rotated;
    most = begins;
  }
  return best;
}

/** Whether `part` is a subsequence of `whole`. */
export function isPart(part: readonly number[], whole: readonly number[]): boolean {
  let at = 0;
  for (const v of whole) if (v === part[at]) at++;
  return at === part.length;
}
