import { cleanText, isMasked } from "./privacy.ts";

/** What people mean to press when they press something inside it. */
const CONTROL =
  "[data-mira],a[href],button,input,select,textarea,summary,label,option,[role=button],[role=link],[role=tab],[role=menuitem],[role=option],[role=switch],[role=checkbox],[onclick],[tabindex]:not([tabindex='-1'])";

/** The control a click on `element` was meant for, or the element itself. */
export function controlOf(element: Element): Element {
  const control = element.closest(CONTROL);
  return control?.matches("label")
    ? (control as HTMLLabelElement).control ?? control
    : control ?? element;
}

/** Is this something a person can expect to react? */
export function isControl(element: Element): boolean {
  return element.matches(CONTROL);
}

/**
 * A name for `element` that survives reloads, other data and small redesigns: `data-mira` if the
 * app gave one, else id, test id, form and field name, accessible label; else the shortest path
 * from the nearest ancestor that has such a name. Ids that look generated are not trusted.
 */
export function targetOf(element: Element): string {
  const named = ownName(element);
  if (named) return named.slice(0, 200);
  const steps: string[] = [];
  let at: Element | null = element;
  while (at && at !== document.body && at !== document.documentElement && steps.length < 5) {
    const name: string | null = ownName(at);
    if (name) return [name, ...steps].join(">").slice(0, 200);
    steps.unshift(at.tagName.toLowerCase() + position(at));
    at = at.parentElement;
  }
  return steps.join(">").slice(0, 200);
}

/** The wording of a control, cleaned; undefined for fields, masked parts and plain content. */
export function labelOf(element: Element): string | undefined {
  if (!isControl(element) || element.matches("select,textarea,option") || isMasked(element)) return;
  const said = element.getAttribute("aria-label") ||
    (element.matches("input")
      ? element.matches("[type=submit],[type=button],[type=reset]") &&
        (element as HTMLInputElement).value
      : element.textContent);
  return said ? cleanText(said) || undefined : undefined;
}

/**
 * The area of the app: the `data-mira-module` around the element, or for the page as a whole the first
 * one in it; else the first segment of the page.
 */
export function moduleOf(element: Element | null, page: string): string {
  const at = "[data-mira-module]";
  const marked = element ? element.closest(at) : globalThis.document?.querySelector(at);
  const named = marked?.getAttribute("data-mira-module");
  return (named || page.split(/[/?#]/).filter(Boolean)[0] || "home").slice(0, 100);
}

function ownName(element: Element): string | null {
  const given = element.getAttribute("data-mira");
  if (given) return given;
  if (element.id && !looksGenerated(element.id)) return "#" + element.id;
  const testId = element.getAttribute("data-testid");
  if (testId) return testId;
  const name = element.getAttribute("name");
  if (name) {
    const form = (element as HTMLInputElement).form;
    return (form && form !== element ? formName(form) + "." : "") + name;
  }
  const label = element.getAttribute("aria-label");
  return label ? `${element.tagName.toLowerCase()}[${cleanText(label, 40)}]` : null;
}

/** A form's name: `data-mira`, name, id or aria-label, else its path. */
export function formName(form: HTMLFormElement): string {
  // getAttribute, not .name: a field called "name" shadows the form's property.
  const id = form.getAttribute("id") ?? "";
  return form.getAttribute("data-mira") || form.getAttribute("name") ||
    (id && !looksGenerated(id) ? id : null) || form.getAttribute("aria-label") || targetPath(form);
}

function targetPath(element: Element): string {
  return element.parentElement ? targetOf(element.parentElement) + ">form" : "form";
}

function looksGenerated(id: string): boolean {
  return /\d{3,}|[:.]|^[a-f0-9-]{16,}$|^(react|radix|ember|mui|headlessui)/i.test(id);
}

/** `:nth(n)` among siblings of the same tag; none in lists, where position is data and not design. */
function position(element: Element): string {
  const parent = element.parentElement;
  if (!parent || parent.matches("ul,ol,tbody,[role=list],[role=listbox],[role=rowgroup]")) {
    return "";
  }
  const twins = [...parent.children].filter((child) => child.tagName === element.tagName);
  return twins.length > 1 ? `:nth(${twins.indexOf(element) + 1})` : "";
}
