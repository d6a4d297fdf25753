/** Routes of `track-event`. */

import { z } from "zod";
import * as track from "../track_event.ts";
import type { Route } from "./route.ts";

/** Every route of the function, with its contract. */
export const TRACK_EVENT_ROUTES: Route[] = [
  {
    verb: "post",
    path: "/",
    summary: "Take one event or a batch, each exactly once",
    modes: ["user"],
    body: z.union([
      track.TrackBatch.extend({
        events: z.array(track.TrackedEvent).min(1).max(track.MAX_EVENTS),
      }),
      track.TrackedEvent,
    ]),
    answers: { 200: track.TrackReceipt },
    isIdempotent: true,
  },
];
