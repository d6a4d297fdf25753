/** Routes of `learn-patterns`. */

import { z } from "zod";
import * as learn from "../learn_patterns.ts";
import type { Route } from "./route.ts";

const id = z.uuid();

/** Every route of the function, with its contract. */
export const LEARN_PATTERNS_ROUTES: Route[] = [
  {
    verb: "post",
    path: "/",
    summary: "Learn from new events: the caller's, or everybody's",
    modes: ["user", "secret", "cron"],
    body: learn.LearnRequest,
    answers: {
      200: z.object({
        users: z.int(),
        events: z.int(),
        learned: z.object({ struggle: z.int(), preference: z.int(), workflow_habit: z.int() }),
        retired: z.int(),
        more: z.boolean(),
      }),
    },
    isIdempotent: true,
  },
  {
    verb: "post",
    path: "/next",
    summary: "What the person is likely to do next in a session",
    modes: ["user"],
    body: learn.NextRequest,
    answers: { 200: "json" },
  },
  {
    verb: "get",
    path: "/struggles",
    summary: "Where people struggle most, over all users, without names",
    modes: ["secret"],
    query: learn.StruggleQuery,
    answers: { 200: "json" },
  },
  {
    verb: "post",
    path: "/:pattern_id/status",
    summary: "The person's word on a pattern: keep, dismiss, neither",
    modes: ["user"],
    body: learn.StatusRequest,
    answers: { 200: z.object({ id, status: z.string() }) },
    isIdempotent: true,
  },
  {
    verb: "post",
    path: "/:pattern_id/promote",
    summary: "Make a draft workflow and a behaviour pattern of a habit",
    modes: ["user"],
    body: learn.PromoteRequest,
    answers: {
      201: z.object({
        workflow_id: id,
        behavior_pattern_id: id,
        dry_run: z.object({
          sessions: z.int(),
          steps: z.int(),
          reproduced: z.int(),
          share: z.number().nullable(),
        }),
      }),
    },
    isIdempotent: true,
  },
];
