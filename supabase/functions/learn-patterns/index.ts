import { allow } from "../../../functions-shared/auth/allow.ts";
import { subjectUser } from "../../../functions-shared/auth/subject_user.ts";
import { userDb } from "../../../functions-shared/auth/user_db.ts";
import {
  LearnRequest,
  NextRequest,
  PromoteRequest,
  StatusRequest,
  StruggleQuery,
} from "../../../functions-shared/contracts/learn_patterns.ts";
import { rpc } from "../../../functions-shared/db/rpc.ts";
import { miraFunction } from "../../../functions-shared/http/app.ts";
import { idempotent } from "../../../functions-shared/http/idempotency.ts";
import { readBody, readQuery, uuidParam } from "../../../functions-shared/http/input.ts";
import { limit } from "../../../functions-shared/http/rate_limit.ts";
import { learnUsers } from "../../../functions-shared/learning/learn_users.ts";
import { nextActions } from "../../../functions-shared/learning/next_actions.ts";
import { promoteHabit } from "../../../functions-shared/learning/promote_habit.ts";

const app = miraFunction("learn-patterns");

app.post(
  "/",
  allow("user", "secret", "cron"),
  limit("learn-patterns", 60),
  idempotent(),
  async (c) => {
    const request = await readBody(c, LearnRequest);
    const { caller } = c.var;
    const who = caller.kind === "user" ? { user_id: subjectUser(caller, request.user_id) } : {};
    return c.json(await learnUsers(c.var.admin, { ...request, ...who }));
  },
);

app.post("/next", allow("user"), limit("learn-patterns/next", 300), async (c) => {
  const { session_id, limit } = await readBody(c, NextRequest);
  return c.json(await nextActions(c.var.admin, subjectUser(c.var.caller), session_id, limit));
});

app.get("/struggles", allow("secret"), async (c) => {
  const { module, limit } = readQuery(c, StruggleQuery);
  const struggles = await rpc(c.var.admin, "mira_rank_struggles", {
    p_module: module ?? null,
    p_limit: limit,
  });
  return c.json({ struggles });
});

app.post(
  "/:pattern_id/status",
  allow("user"),
  limit("learn-patterns/status", 120),
  idempotent(),
  async (c) => {
    const id = uuidParam(c, "pattern_id");
    const { status } = await readBody(c, StatusRequest);
    await rpc(userDb(c.var.caller), "choose_pattern_status", {
      p_pattern_id: id,
      p_status: status,
    });
    return c.json({ id, status });
  },
);

app.post(
  "/:pattern_id/promote",
  allow("user"),
  limit("learn-patterns/promote", 30),
  idempotent(),
  async (c) => {
    const id = uuidParam(c, "pattern_id");
    const { name } = await readBody(c, PromoteRequest);
    return c.json(await promoteHabit(c.var.admin, subjectUser(c.var.caller), id, name), 201);
  },
);

export default { fetch: app.fetch };
