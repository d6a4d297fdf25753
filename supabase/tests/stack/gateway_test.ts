import { deepEqual, equal, ok } from "node:assert/strict";
import { startStack } from "../support/stack.ts";

const stack = await startStack();
Deno.test.afterAll(() => stack.close());

Deno.test("an app on another port may sign in, read and call functions from a browser", async () => {
  const routes = ["/auth/v1/signup", "/rest/v1/profiles", "/functions/v1/track-event"];
  for (const route of routes) {
    const preflight = await stack.fetch(route, {
      method: "OPTIONS",
      headers: {
        "origin": "http://localhost:5173",
        "access-control-request-method": "POST",
        "access-control-request-headers": "apikey,authorization,content-type,x-client-info",
      },
    });
    ok(preflight.ok, route);
    for (const header of ["apikey", "authorization", "content-type"]) {
      ok(
        preflight.headers.get("access-control-allow-headers")?.includes(header),
        `${route} ${header}`,
      );
    }
    const answer = await stack.fetch(route, {
      method: "POST",
      headers: { origin: "http://localhost:5173" },
      json: {},
    });
    equal(answer.headers.get("access-control-allow-origin"), "*", route);
    await answer.body?.cancel();
  }
});

Deno.test("requests side by side never run in each other's transaction or role", async () => {
  const users = await Promise.all(Array.from({ length: 6 }, () => stack.newUser()));
  const rounds = Array.from({ length: 10 }, () => users).flat();
  const seen = await Promise.all(rounds.map(async (user) => {
    const { data, error } = await user.client.from("profiles").select("id");
    return { user: user.id, ids: error ? [error.message] : data.map((row) => row.id) };
  }));
  for (const { user, ids } of seen) deepEqual(ids, [user]);
});

Deno.test("the stack grants no more than the migrations do", async () => {
  const extra = await stack.sql(`
    select c.relname, r.rolname, p.privilege from pg_class c
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'private'
    cross join (values ('anon'), ('authenticated')) r (rolname)
    cross join (values ('select'), ('insert'), ('update'), ('delete')) p (privilege)
    where c.relkind in ('r', 'p') and has_table_privilege(r.rolname, c.oid, p.privilege)`);
  deepEqual(extra, []);
  const anon = await stack.sql(
    "select has_table_privilege('anon', 'public.profiles', 'select') as may",
  );
  equal(anon[0].may, false);
});

Deno.test("SQL as the owner needs the secret key", async () => {
  for (const as of ["anon", await stack.newUser()] as const) {
    const response = await stack.fetch("/pg/query", { as, json: { query: "select 1" } });
    equal(response.status, 401);
    await response.body?.cancel();
  }
});

Deno.test("no key of the stack is published", async () => {
  for (
    const path of ["/auth/v1/.well-known/jwks.json", "/console/config.json", "/auth/v1/settings"]
  ) {
    const text = await (await stack.fetch(path)).text();
    ok(
      !text.includes(stack.secretKey) && !text.includes(stack.jwtSecret) &&
        !text.includes(stack.cronKey),
      path,
    );
  }
});

Deno.test("paths that climb out of the served folders do not exist", async () => {
  for (
    const path of [
      "/console/%2e%2e/%2e%2e/deno.json",
      "/console/..%2f..%2fdeno.json",
      "/sample/%2e%2e%2fstart.ts",
      "/console/%00",
    ]
  ) {
    const response = await stack.fetch(path);
    equal(response.status, 404, path);
    await response.body?.cancel();
  }
});

Deno.test("the schedule carries runs on without anybody asking", async () => {
  const ticking = await startStack({ cron: true });
  try {
    const user = await ticking.newUser();
    const started = await ticking.fetch("/functions/v1/run-workflow", {
      as: user,
      json: {
        workflow: {
          nodes: [
            { type: "start", name: "start" },
            { type: "wait", name: "nap", config: { seconds: 1 } },
            { type: "end", name: "end" },
          ],
          edges: [{ source: "start", target: "nap" }, { source: "nap", target: "end" }],
        },
        wait_ms: 0,
      },
    });
    const { run_id, status: first } = await started.json();
    equal(first, "waiting");
    let status = "";
    for (let i = 0; i < 120 && status !== "completed"; i++) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      const { data } = await user.client.from("workflow_executions").select("current_state").eq(
        "id",
        run_id,
      ).single();
      status = data?.current_state;
    }
    equal(status, "completed");
  } finally {
    await ticking.close();
  }
});

Deno.test("a statement that fails has PostgREST's status and code, and its values are in no log", async () => {
  const ada = await stack.newUser();
  const canary = `canary-${crypto.randomUUID()}`;
  const broken = await ada.client.from("mira_workflows").insert({
    name: canary.padEnd(300, "."),
    description: canary,
  });
  deepEqual([broken.status, broken.error?.code], [400, "23514"]);
  const odd = await ada.client.from("mira_workflows").select("id")
    .eq("id", `sk-${canary.replaceAll("-", "")}`);
  deepEqual([odd.status, odd.error?.code], [400, "22P02"]);
  const refused = await stack.service.rpc("mira_start_run", { p_user_id: ada.id });
  deepEqual(refused.status, 422, "and what our own functions raise");
  ok(stack.output().includes("Data API: 23514 new row for relation"), stack.output());
  ok(!/canary/.test(stack.output()), stack.output());
});
