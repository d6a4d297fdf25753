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
