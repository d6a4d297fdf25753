/**
 * What everybody does next, from counts of what followed the last two actions, the last one, any:
 * each estimate leans on the shorter context's (interpolated Kneser-Ney; equivalently a hierarchical
 * Pitman-Yor process, Teh 2006).
 */

/** How often actions followed one context: action, times. */
export type Followers = readonly (readonly [action: string, times: number])[];

/** Followers by context: anywhere, after the last action, after the last two. */
export interface EverybodysFollowers {
  any: Followers;
  one: Followers;
  two: Followers;
}

/** Taken off every count and left to the estimate below (Chen and Goodman 1999). */
const DISCOUNT = 0.7;

/** Chance of each action that followed any of the contexts; they add up to one, or there are none. */
export function everybodyNext({ any, one, two }: EverybodysFollowers): Map<string, number> {
  const actions = new Set([...any, ...one, ...two].map(([action]) => action));
  const start = new Map([...actions].map((action) => [action, 1 / actions.size]));
  return leaning(two, leaning(one, leaning(any, start)));
}

/** Counts, and for what they leave open the estimate below. */
function leaning(followers: Followers, below: ReadonlyMap<string, number>): Map<string, number> {
  const chances = new Map(below);
  const total = followers.reduce((sum, [, times]) => sum + times, 0);
  if (total === 0) return chances;
  const rest = DISCOUNT * followers.length / total;
  for (const [action, chance] of below) chances.set(action, rest * chance);
  for (const [action, times] of followers) {
    chances.set(action, Math.max(0, times - DISCOUNT) / total + rest * below.get(action)!);
  }
  return chances;
}
