/**
 * Templates: `{{path}}` in a node's configuration stands for a value of the run.
 *
 * A path is dot-separated (`customer.emails.0`) and looks up own properties only. A string that is
 * one placeholder and nothing else keeps the value's type; inside other text a string is put in as
 * it is and anything else as JSON. `{{path ?? "text"}}` gives a JSON literal for a missing value.
 * Values are never rendered again, so data that looks like a template stays data.
 *
 * @module
 */

const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;
const WHOLE = /^\s*\{\{([^{}]*)\}\}\s*$/;
// names in any script; the gate refuses the same paths before a graph may run (private.template_fault)
const PATH =
  /^[A-Za-z_\u0080-\uffff][\w\u0080-\uffff-]*(?:\.(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff-]*|\d+))*$/;

/** A template that cannot be rendered. `code` is `template_path_missing` or `template_invalid`. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
  constructor(readonly code: string, readonly path: string, message: string) {
    super(message);
  }
}

/** One placeholder taken apart. */
interface Placeholder {
  path: string;
  fallback?: unknown;
}

function parse(body: string): Placeholder {
  const at = body.indexOf("??");
  const path = (at < 0 ? body : body.slice(0, at)).trim();
  if (!PATH.test(path)) {
    throw new TemplateError(
      "template_invalid",
      path,
      `"{{${body}}}" is not a path: write names separated by dots, such as {{customer.email}}.`,
    );
  }
  if (at < 0) return { path };
  try {
    return { path, fallback: JSON.parse(body.slice(at + 2)) };
  } catch {
    throw new TemplateError(
      "template_invalid",
      path,
      `The fallback after ?? in "{{${body}}}" is not a JSON literal.`,
    );
  }
}

function lookUp(scope: unknown, placeholder: Placeholder): unknown {
  let value: unknown = scope;
  const walked: string[] = [];
  for (const name of placeholder.path.split(".")) {
    const next = typeof value === "object" && value !== null && Object.hasOwn(value, name)
      ? (value as Record<string, unknown>)[name]
      : undefined;
    if (next === undefined) {
      if ("fallback" in placeholder) return placeholder.fallback;
      throw new TemplateError(
        "template_path_missing",
        placeholder.path,
        `{{${placeholder.path}}} has no value: "${name}" is missing from ` +
          `${walked.length ? `"${walked.join(".")}"` : "the state"}, which holds ${
            contents(value)
          }.`,
      );
    }
    walked.push(name);
    value = next;
  }
  return value;
}

function contents(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value !== "object" || value === null) {
    return `a ${value === null ? "null" : typeof value}`;
  }
  const names = Object.keys(value);
  if (names.length === 0) return "nothing";
  return names.slice(0, 8).join(", ") + (names.length > 8 ? ` and ${names.length - 8} more` : "");
}

/**
 * Renders every string inside `template` (objects and lists are walked; keys are left alone).
 *
 * @param template any JSON value
 * @param scope the object that paths start from
 * @throws {TemplateError} naming the path and what was there instead
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(render({ to: "{{user.id}}", text: "Hi {{user.name}}" }, { user: { id: 7, name: "Ada" } }),
 *   { to: 7, text: "Hi Ada" });
 * ```
 */
export function render(template: unknown, scope: Record<string, unknown>): unknown {
  if (typeof template === "string") {
    const whole = WHOLE.exec(template);
    return whole ? lookUp(scope, parse(whole[1]!)) : renderText(template, scope);
  }
  if (Array.isArray(template)) return template.map((entry) => render(entry, scope));
  if (typeof template === "object" && template !== null) {
    return Object.fromEntries(
      Object.entries(template).map(([key, value]) => [key, render(value, scope)]),
    );
  }
  return template;
}

/** Renders a template that is text and stays text. Same rules and errors as {@link render}. */
export function renderText(template: string, scope: Record<string, unknown>): string {
  return template.replace(PLACEHOLDER, (_, body: string) => {
    const value = lookUp(scope, parse(body));
    return typeof value === "string" ? value : JSON.stringify(value);
  });
}
