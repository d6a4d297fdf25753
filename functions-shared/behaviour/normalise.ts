/** From events to comparable names: ids out of paths and selectors, values dropped. */

import type { BehaviourEvent } from "./types.ts";

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const NUMBER = /^\d+$/;
/** Long mixed words: hashes, ULIDs, nano ids. A word needs a digit to be taken for an id. */
const OPAQUE = /^(?=.*\d)(?:[0-9a-f]{12,}|[0-9A-Za-z_-]{20,})$/;
const LONG_NUMBER = /\d{5,}/g;
const CACHE_LIMIT = 5_000;

const pages = new Map<string, string>();

/**
 * A path without query, fragment and ids.
 *
 * @example `normalisePage("/leads/42/edit?tab=1")` is `/leads/:id/edit`.
 */
export function normalisePage(page: string): string {
  const known = pages.get(page);
  if (known !== undefined) return known;
  const path = page.replace(/[?#].*$/s, "");
  const name = path.split("/").map((part) => isId(part) ? ":id" : part.replace(UUID, ":id"))
    .join("/").replace(/(.)\/+$/, "$1");
  if (pages.size >= CACHE_LIMIT) pages.clear();
  pages.set(page, name);
  return name;
}

/** A selector or control name; only what cannot be a name (uuids, long numbers) becomes `:id`. */
export function normaliseTarget(target: string | null | undefined): string {
  if (!target) return "";
  return /\d{5}|[0-9a-f]{8}-/i.test(target)
    ? target.replace(UUID, ":id").replace(LONG_NUMBER, ":id")
    : target;
}

function isId(part: string): boolean {
  return NUMBER.test(part) || OPAQUE.test(part) || part.replace(UUID, "") === "" && part !== "";
}

/** Events a person does not perform, or that only say something went wrong. */
const NOT_ACTIONS = new Set(["page_leave", "error"]);

/** The action an event stands for, or undefined: `type:module:page#target`. */
export function token(event: BehaviourEvent): string | undefined {
  if (NOT_ACTIONS.has(event.event_type)) return undefined;
  const target = normaliseTarget(event.target ?? text(event.payload?.["form"]));
  const name = `${event.event_type}:${event.module}:${normalisePage(event.page)}`;
  return target === "" ? name : `${name}#${target}`;
}

/** The parts of a token again. */
export function parseToken(
  name: string,
): { event_type: string; module: string; page: string; target: string } {
  const first = name.indexOf(":");
  const second = name.indexOf(":", first + 1);
  const sharp = name.indexOf("#", second + 1);
  return {
    event_type: name.slice(0, first),
    module: name.slice(first + 1, second),
    page: sharp < 0 ? name.slice(second + 1) : name.slice(second + 1, sharp),
    target: sharp < 0 ? "" : name.slice(sharp + 1),
  };
}

/** A non-empty string, else undefined. */
export function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
