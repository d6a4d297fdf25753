/** Routes of `find-patterns`. */

import * as find from "../find_patterns.ts";
import { PEOPLE, type Route } from "./route.ts";

/** Every route of the function, with its contract. */
export const FIND_PATTERNS_ROUTES: Route[] = [
  {
    verb: "post",
    path: "/",
    summary: "What worked before for something of the same meaning",
    modes: PEOPLE,
    body: find.FindRequest,
    answers: { 200: find.FindResponse },
    isIdempotent: true,
  },
  {
    verb: "post",
    path: "/record",
    summary: "Remember a procedure and how it ended",
    modes: PEOPLE,
    body: find.RecordRequest,
    answers: { 201: find.RecordResponse },
    isIdempotent: true,
  },
  {
    verb: "post",
    path: "/:id/feedback",
    summary: "Say how a recalled pattern turned out",
    modes: PEOPLE,
    body: find.FeedbackRequest,
    answers: { 200: find.FeedbackResponse },
    isIdempotent: true,
  },
  {
    verb: "post",
    path: "/embed",
    summary: "Embed what has no vector yet",
    modes: ["secret", "cron"],
    body: find.EmbedRequest,
    answers: { 200: find.EmbedResponse },
  },
];
