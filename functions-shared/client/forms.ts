import { cleanText, isIgnored, isMasked } from "./privacy.ts";
import { formName, targetOf } from "./target.ts";
import { listen, type Note, type Report, type Stop } from "./watch.ts";

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

const FIELD =
  "input:not([type=button],[type=submit],[type=reset],[type=image],[type=hidden]),select,textarea";
/** How long the page has to say whether a submit worked, and how long after a gesture a submit counts as meant. */
const VERDICT_MS = 1000;
const INTENT_MS = 50;

/**
 * Reports the first focus of each field of a form, every change (never a value: a length, or the
 * choice made in a select, radio or checkbox) and submits, with `ok` where the page shows how it
 * went. `leave` ends a page and names the form that was begun (two fields or more) and not sent.
 */
export function watchForms(
  report: Report,
): { stop: Stop; settle: Stop; leave(): string | undefined } {
  const begun = new Map<string, Set<string>>();
  const verdicts = new Map<Note, ReturnType<typeof setTimeout>>();
  let meantAt = -Infinity;
  let refused: HTMLFormElement | null = null;

  const settle = (note: Note) => {
    clearTimeout(verdicts.get(note));
    if (verdicts.delete(note)) note.release();
  };
  const touch = (field: Field): boolean => {
    if (!field.form || isIgnored(field)) return false;
    const form = formName(field.form);
    const fields = begun.get(form) ?? new Set();
    begun.set(form, fields);
    const isFirst = !fields.has(fieldName(field));
    fields.add(fieldName(field));
    return isFirst;
  };
  const onFocus = (event: FocusEvent) => {
    const field = fieldOf(event);
    if (field && touch(field)) report(input(field, {}));
  };
  const onChange = (event: Event) => {
    const field = fieldOf(event);
    if (!field) return;
    touch(field);
    report(input(field, { changed: true, ...content(field) }));
  };
  const onIntent = (event: KeyboardEvent | MouseEvent) => {
    if (!event.isTrusted) return;
    const element = event.target as Element | null;
    const isSubmit = "key" in event
      ? event.key === "Enter" && element?.matches("input")
      : element?.closest(
        "button:not([type=button],[type=reset]),input[type=submit],input[type=image]",
      );
    if (isSubmit) meantAt = Date.now();
  };
  const onInvalid = (event: Event) => {
    const form = (event.target as Field).form;
    // checkValidity() from a script fires this too: only a person's submit counts, once.
    if (!form || form === refused || Date.now() - meantAt > INTENT_MS) return;
    refused = form;
    setTimeout(() => refused = null, 0);
    submitted(form, { ok: false });
  };
  const onSubmit = (event: Event) => {
    const form = event.target as HTMLFormElement;
    const note = submitted(form, {}, true);
    if (!note) return;
    const href = location.href;
    const name = formName(form);
    const fields = begun.get(name);
    begun.delete(name);
    verdicts.set(
      note,
      setTimeout(() => {
        const ok = verdict(form, href);
        if (ok !== undefined) note.payload.ok = ok;
        // Sent back: it is still begun, and can still be abandoned.
        if (ok === false && fields) begun.set(name, new Set([...fields, ...begun.get(name) ?? []]));
        settle(note);
      }, VERDICT_MS),
    );
  };
  const submitted = (form: HTMLFormElement, more: Record<string, unknown>, held = false) => {
    const name = formName(form);
    return report({
      event_type: "form_submit",
      element: form,
      target: name,
      payload: { form: name, ...more },
      held,
    });
  };

  const stops = [
    listen(document, "focusin", onFocus),
    listen(document, "change", onChange),
    listen(document, "keydown", onIntent),
    listen(document, "click", onIntent),
    listen(document, "invalid", onInvalid),
    listen(document, "submit", onSubmit),
  ];
  const settleAll = () => [...verdicts.keys()].forEach(settle);
  return {
    settle: settleAll,
    leave: () => {
      const left = [...begun].find(([, fields]) => fields.size >= 2)?.[0];
      begun.clear();
      return left;
    },
    stop: () => {
      stops.forEach((stop) => stop());
      settleAll();
    },
  };
}

function fieldOf(event: Event): Field | null {
  const element = event.composedPath()[0];
  return element instanceof Element && element.matches(FIELD) ? element as Field : null;
}

function fieldName(field: Field): string {
  return field.getAttribute("name") || targetOf(field);
}

function input(field: Field, payload: Record<string, unknown>) {
  return {
    event_type: "input" as const,
    element: field,
    payload: { field: fieldName(field), ...payload },
  };
}

function content(field: Field): Record<string, unknown> {
  if (isMasked(field)) return {};
  const control = field.getAttribute("data-mira-control") ?? fieldName(field);
  if (field instanceof HTMLSelectElement) {
    const chosen = [...field.selectedOptions].map((option) => option.value || option.text);
    return { control, choice: cleanText(chosen.join(", ")) };
  }
  if (field.type === "checkbox") {
    return { control, choice: (field as HTMLInputElement).checked ? "on" : "off" };
  }
  if (field.type === "radio") return { control, choice: cleanText(field.value) };
  return { length: field.value.length };
}

/** Did it work? Marked fields or an alert say no; a form that is gone or empty again says yes. */
function verdict(form: HTMLFormElement, href: string): boolean | undefined {
  if (!form.isConnected || location.href !== href) return true;
  const alert = form.querySelector("[role=alert]");
  if (form.querySelector("[aria-invalid=true]") || alert?.textContent?.trim()) return false;
  const fields = [...form.elements].filter((e): e is Field => e.matches(FIELD) && "value" in e);
  return fields.every((f) => f.matches("select,[type=checkbox],[type=radio]") || f.value === "") ||
    undefined;
}
