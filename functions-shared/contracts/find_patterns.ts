/** find-patterns: what was asked before, what worked, and what to avoid. */

import { z } from "zod";

/** How a procedure ended. */
export const OUTCOMES = ["success", "partial", "failed"] as const;

/** Where patterns are kept: seed 001's option B and option A. */
export const SOURCES = ["behavior_patterns", "memories"] as const;

/** Dimensions a vector is stored in; shorter ones are padded with zeros. */
export const EMBEDDING_DIMENSIONS = 1536;

/** Most patterns in one answer. */
export const MAX_PATTERNS = 50;

/** A vector of single-precision numbers that points somewhere. */
const Embedding = z.array(z.number().min(-1e30).max(1e30)).min(1).max(EMBEDDING_DIMENSIONS)
  .refine((vector) => vector.some((x) => Math.abs(x) > 1e-30), {
    error: "An embedding of zeros has no direction.",
  });

const Outcome = z.enum(OUTCOMES);
const JsonObject = z.record(z.string().max(200), z.json());

/** A request for patterns: by `query` (embedded on the server) or by `embedding`. */
export const FindRequest = z.strictObject({
  /** What is about to be done, in words. */
  query: z.string().trim().min(1).max(8000).optional(),
  /** Its embedding by the model that answers; at most 1536 numbers. */
  embedding: Embedding.optional(),
  /** Most patterns to return. */
  limit: z.int().min(1).max(MAX_PATTERNS).default(5),
  /** Patterns less similar than this are not returned. */
  threshold: z.number().min(0).max(1).default(0.7),
  /** Only patterns whose context contains this: directory, project_type, branch, files, … */
  context: JsonObject.optional(),
  include: z.array(z.enum(SOURCES)).min(1).max(2).default([...SOURCES]),
  /** Share of words against meaning in similarity, 0 to 1; by default what suits the model. */
  words: z.number().min(0).max(1).optional(),
  /** Only for services: whose patterns. */
  user_id: z.uuid().optional(),
}).refine((value) => value.query !== undefined || value.embedding !== undefined, {
  path: ["query"],
  error: "Give a query or an embedding.",
});

/** One recalled pattern. */
export const RecalledPattern = z.object({
  id: z.uuid(),
  source: z.enum(SOURCES),
  trigger: z.string(),
  context: JsonObject,
  /** Steps in order, as recorded. */
  actions: z.array(z.json()),
  final_outcome: Outcome,
  /** Mean of the Beta posterior of success, 0 to 1. */
  confidence: z.number(),
  use_count: z.int(),
  /** Likeness to the request, 0 to 1: the cosine of `embedding`; of a `query`, cosine and words together on a scale where 0.7 means "more likely the same than not" for every model. */
  similarity: z.number(),
  /** Similarity weighed by outcomes, use and age; patterns are ordered by it. */
  score: z.number(),
});

/** The answer to a request. */
export const FindResponse = z.object({
  /** What worked, best first. Empty when nothing is similar enough. */
  patterns: z.array(RecalledPattern),
  /** What was tried and failed. */
  avoid: z.array(RecalledPattern),
  /** The embedding model that answered. */
  model: z.string().nullable(),
});

/** A procedure that was carried out. */
export const RecordRequest = z.strictObject({
  /** What was asked for. */
  trigger: z.string().trim().min(1).max(8000),
  /** Where: directory, project_type, branch, files_touched, … */
  context: JsonObject.default({}),
  /** What was done, in order: [{tool, parameters, outcome, …}]. */
  actions: z.array(z.json()).max(500),
  final_outcome: Outcome,
  /** Embedding of the trigger, when the caller has it. */
  embedding: Embedding.optional(),
  /** Only for services: whose pattern. */
  user_id: z.uuid().optional(),
});

/** The receipt of a recorded procedure. */
export const RecordResponse = z.object({
  id: z.uuid(),
  /** True when it joined a pattern recorded before. */
  merged: z.boolean(),
});

/** How a recalled pattern turned out. */
export const FeedbackRequest = z.strictObject({
  outcome: Outcome,
  /** Only for services: whose pattern. */
  user_id: z.uuid().optional(),
});

/** The pattern after feedback. */
export const FeedbackResponse = z.object({ confidence: z.number(), use_count: z.int() });

/** One turn of the embedding job. */
export const EmbedRequest = z.strictObject({
  /** Milliseconds after which no further batch is begun. */
  budget_ms: z.int().min(100).max(120_000).default(20_000),
});

/** What the embedding job did. */
export const EmbedResponse = z.object({
  /** `idle` when every row has its vector; otherwise call again. */
  state: z.enum(["idle", "busy", "work", "moving", "sweeping", "not_configured"]),
  embedded: z.int(),
  failed: z.int(),
  model: z.string().nullable(),
});

export type FindRequest = z.output<typeof FindRequest>;
export type FindResponse = z.output<typeof FindResponse>;
export type RecalledPattern = z.output<typeof RecalledPattern>;
export type RecordRequest = z.output<typeof RecordRequest>;
export type RecordResponse = z.output<typeof RecordResponse>;
export type FeedbackRequest = z.output<typeof FeedbackRequest>;
export type FeedbackResponse = z.output<typeof FeedbackResponse>;
export type EmbedResponse = z.output<typeof EmbedResponse>;
