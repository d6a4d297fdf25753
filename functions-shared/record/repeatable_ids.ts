/** Ids for items without one, the same on every retry of a request. */

/**
 * Items that bring no `id` get one made from the request's effect id and their place, so that a
 * retry with the same Idempotency-Key stores nothing twice even if the first answer was lost.
 *
 * @param effectId the id of this request's effect; without one the items stay as they are.
 */
export function repeatableIds<T extends { id?: string | undefined }>(
  items: readonly T[],
  effectId: string | undefined,
): T[] {
  if (effectId === undefined) return [...items];
  const head = effectId.slice(0, -4);
  const tail = parseInt(effectId.slice(-4), 16);
  return items.map((item, index) =>
    item.id !== undefined
      ? item
      : { ...item, id: head + ((tail ^ index) & 0xffff).toString(16).padStart(4, "0") }
  );
}
