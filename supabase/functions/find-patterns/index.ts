import { allow } from "../../../functions-shared/auth/allow.ts";
import { subjectUser } from "../../../functions-shared/auth/subject_user.ts";
import {
  EmbedRequest,
  type EmbedResponse,
  FeedbackRequest,
  type FeedbackResponse,
  FindRequest,
  type FindResponse,
  RecordRequest,
  type RecordResponse,
} from "../../../functions-shared/contracts/find_patterns.ts";
import { rpc } from "../../../functions-shared/db/rpc.ts";
import { afterwards } from "../../../functions-shared/http/afterwards.ts";
import { miraFunction } from "../../../functions-shared/http/app.ts";
import { idempotent } from "../../../functions-shared/http/idempotency.ts";
import { readBody, uuidParam } from "../../../functions-shared/http/input.ts";
import { limit } from "../../../functions-shared/http/rate_limit.ts";
import { embedRows } from "../../../functions-shared/recall/embed_rows.ts";
import { findPatterns } from "../../../functions-shared/recall/find_patterns.ts";
import { recordPattern } from "../../../functions-shared/recall/record_pattern.ts";

const app = miraFunction("find-patterns");

app.post("/", allow("user", "secret"), limit("find-patterns", 240), idempotent(), async (c) => {
  const request = await readBody(c, FindRequest);
  const userId = subjectUser(c.var.caller, request.user_id);
  const recallId = c.var.effectId ?? crypto.randomUUID();
  const found = await findPatterns(c.var.admin, userId, recallId, request);
  if (found.patterns.length > 0) {
    afterwards(c.var.log, () => rpc(c.var.admin, "mira_count_recalls", {}));
  }
  return c.json(found satisfies FindResponse);
});

app.post("/record", allow("user", "secret"), limit("record", 240), idempotent(), async (c) => {
  const request = await readBody(c, RecordRequest);
  const userId = subjectUser(c.var.caller, request.user_id);
  const recorded = await recordPattern(c.var.admin, userId, request, c.var.log, c.var.effectId);
  return c.json(recorded satisfies RecordResponse, 201);
});

app.post("/embed", allow("cron", "secret"), async (c) => {
  const { budget_ms } = await readBody(c, EmbedRequest);
  return c.json(await embedRows(c.var.admin, budget_ms) satisfies EmbedResponse);
});

app.post(
  "/:id/feedback",
  allow("user", "secret"),
  limit("feedback", 240),
  idempotent(),
  async (c) => {
    const id = uuidParam(c, "id");
    const request = await readBody(c, FeedbackRequest);
    const [after] = await rpc<FeedbackResponse[]>(c.var.admin, "mira_pattern_feedback", {
      p_user_id: subjectUser(c.var.caller, request.user_id),
      p_pattern_id: id,
      p_outcome: request.outcome,
      p_request_id: c.var.effectId,
    });
    return c.json(after! satisfies FeedbackResponse);
  },
);

export default { fetch: app.fetch };
