/** How alike two texts are by their letters: no model, any language, and identifiers count. */

/**
 * Dice's coefficient of character trigrams of the words, each word padded with spaces, 0 to 1. Case,
 * accents' encoding and punctuation do not count.
 *
 * @example
 * ```ts
 * wordLikeness("Deploy the API", "deploy api"); // 0.8…
 * ```
 */
export function wordLikeness(a: string, b: string): number {
  const left = trigrams(a);
  const right = trigrams(b);
  if (left.size === 0 || right.size === 0) return 0;
  let shared = 0;
  for (const trigram of left) if (right.has(trigram)) shared++;
  return 2 * shared / (left.size + right.size);
}

function trigrams(text: string): Set<string> {
  const found = new Set<string>();
  const words = text.normalize("NFKC").toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  for (const word of words) {
    const padded = `  ${word} `;
    for (let i = 0; i + 3 <= padded.length; i++) found.add(padded.slice(i, i + 3));
  }
  return found;
}
