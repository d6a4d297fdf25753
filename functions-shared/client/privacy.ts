/** The attribute that hides an element and everything in it from the client. */
export const IGNORE = "data-mira-ignore";
/** The attribute that keeps an element's clicks but hides its text and its choice. */
export const MASK = "data-mira-mask";

const OPT_OUT_KEY = "mira.optout";

/** Has the person asked not to be followed, in the browser or in this app? */
export function isOptedOut(storage: Storage, respectDoNotTrack: boolean): boolean {
  if (storage.getItem(OPT_OUT_KEY) === "1") return true;
  if (!respectDoNotTrack || typeof navigator === "undefined") return false;
  const said = navigator as Navigator & { doNotTrack?: string; globalPrivacyControl?: boolean };
  return said.doNotTrack === "1" || said.globalPrivacyControl === true;
}

/** Remembers, for this browser, that the person does (or no longer does) want to be left alone. */
export function rememberOptOut(storage: Storage, out: boolean): void {
  if (out) storage.setItem(OPT_OUT_KEY, "1");
  else storage.removeItem(OPT_OUT_KEY);
}

/** Is this element, or one around it, marked `data-mira-ignore`? */
export function isIgnored(element: Element | null): boolean {
  return element?.closest(`[${IGNORE}]`) != null;
}

/** Is this element's wording private? Password fields and content people edit always are. */
export function isMasked(element: Element): boolean {
  return element.closest(`[${MASK}], [contenteditable=""], [contenteditable="true"]`) !== null ||
    element.matches(
      "input[type=password], input[autocomplete^=cc-], input[autocomplete=one-time-code]",
    );
}

/**
 * A short wording fit to be stored: one line, at most 80 characters, with e-mail addresses and
 * runs of five or more digits (cards, phones, account numbers) blanked out.
 */
export function cleanText(text: string, max = 80): string {
  return text.replace(/\s+/g, " ").trim()
    .replace(/[^\s@]{1,64}@[^\s@]{1,255}/g, "***")
    .replace(/\d(?:[ .-]?\d){4,}/g, "***")
    .slice(0, max);
}
