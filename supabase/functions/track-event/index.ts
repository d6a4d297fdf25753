import { allow } from "../../../functions-shared/auth/allow.ts";
import { subjectUser } from "../../../functions-shared/auth/subject_user.ts";
import {
  MAX_BATCH_BYTES,
  TrackBatch,
  TrackedEvent,
  type TrackReceipt,
} from "../../../functions-shared/contracts/track_event.ts";
import { rpc } from "../../../functions-shared/db/rpc.ts";
import { miraFunction } from "../../../functions-shared/http/app.ts";
import { idempotent } from "../../../functions-shared/http/idempotency.ts";
import { readJson, validate } from "../../../functions-shared/http/input.ts";
import { Problem } from "../../../functions-shared/http/problem.ts";
import { limit } from "../../../functions-shared/http/rate_limit.ts";
import { screenEvents } from "../../../functions-shared/ingest/screen_events.ts";

const app = miraFunction("track-event", { maxBodyBytes: MAX_BATCH_BYTES });

app.post("/", allow("user"), limit("track-event", 600), idempotent(), async (c) => {
  const body = await readJson(c);
  // one event may come bare: it is a batch of one, and what is wrong with it is the request's error
  const isBare = !(typeof body === "object" && body !== null && "events" in body);
  const batch: TrackBatch = isBare
    ? { events: [validate(TrackedEvent, body)] }
    : validate(TrackBatch, body);
  const { good, rejected } = screenEvents(batch.events);
  if (isBare && rejected[0]) {
    throw new Problem(422, rejected[0].code, rejected[0].detail, {
      errors: [{ pointer: "/payload", code: rejected[0].code, detail: rejected[0].detail }],
    });
  }
  const stored = good.length === 0
    ? { accepted: 0, duplicates: 0 }
    : await rpc<{ accepted: number; duplicates: number }>(c.var.admin, "mira_ingest_events", {
      p_user_id: subjectUser(c.var.caller),
      p_events: good,
      p_sent_at: batch.sent_at ?? null,
    });
  return c.json({ ...stored, rejected } satisfies TrackReceipt);
});

export default { fetch: app.fetch };
