/** Embeddings as the database reads them. */

/** Dimensions every vector is stored in. */
const DIMENSIONS = 1536;

/**
 * pgvector's text form, padded with zeros to 1536 numbers (cosine unchanged), seven significant
 * digits, which is all a 32-bit float holds.
 *
 * @throws {RangeError} more than 1536 numbers, or one that is not finite.
 */
export function vectorText(vector: ArrayLike<number>): string {
  if (vector.length > DIMENSIONS) {
    throw new RangeError(`An embedding has at most ${DIMENSIONS} numbers, not ${vector.length}.`);
  }
  const parts = new Array<number>(DIMENSIONS).fill(0);
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i]!;
    if (!Number.isFinite(value)) throw new RangeError("An embedding holds finite numbers only.");
    parts[i] = Number(value.toPrecision(7));
  }
  return `[${parts.join(",")}]`;
}
