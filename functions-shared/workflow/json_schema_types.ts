/**
 * The shapes that the validator and its keywords share.
 *
 * @module
 */

/** What is wrong, where. `pointer` is an RFC 6901 pointer into the value; values are never echoed. */
export interface SchemaIssue {
  pointer: string;
  code: string;
  detail: string;
}

/** A schema: an object of keywords, or `true` (anything) or `false` (nothing). */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** A schema that cannot be applied. `pointer` leads into the schema. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";
  constructor(readonly pointer: string, message: string) {
    super(message);
  }
}

/** What a keyword sees when it is applied. */
export interface KeywordContext {
  /** the whole schema, which local references start from */
  root: JsonSchema;
  /** the keyword's own value */
  rule: unknown;
  value: unknown;
  /** where the value is */
  pointer: string;
  /** where the schema is */
  at: string;
  /** the keywords beside this one */
  keywords: Record<string, unknown>;
  fail(code: string, detail: string, pointer?: string): void;
  /** applies a schema and reports what is wrong */
  sub(schema: unknown, value: unknown, pointer: string, keyword: string): void;
  /** applies a schema and says whether it holds */
  fits(schema: unknown, value: unknown): boolean;
}
