/** What broken rules are called, where zod's own words are about JavaScript. */

import type { z } from "zod";

const JSON_NAMES: Record<string, string> = {
  array: "a list",
  boolean: "true or false",
  int: "a whole number",
  number: "a number",
  object: "an object",
  record: "an object",
  string: "a text",
};

/** For `schema.safeParse(value, WORDING)`; rules without an entry keep zod's words. */
export const WORDING: { error: z.core.$ZodErrorMap } = {
  error: (issue) => {
    const isType = issue.code === "invalid_type";
    if (issue.input === undefined && (isType || issue.code === "invalid_value")) {
      return "This is required.";
    }
    if (!isType) return undefined;
    const wanted = JSON_NAMES[issue.expected];
    return wanted ? `This must be ${wanted}.` : undefined;
  },
};
