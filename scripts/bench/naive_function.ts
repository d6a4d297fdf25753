/** The edge function most people write first: each item of a batch is inserted with a call of its own. */

import type { TestStack, TestUser } from "../../supabase/tests/support/stack.ts";

/** Where the items of a batch go. */
export interface NaiveTable {
  /** Statements that make it, with the seed's columns and indexes. */
  make: string[];
  name: string;
  /** Field of the body that holds the items. */
  list: string;
  /** An item's columns, but for its user. */
  rowOf(item: Record<string, unknown>): Record<string, unknown>;
}

/** Serves it on a free port, over the same Data API as ours. */
export async function naiveFunction(
  stack: TestStack,
  { make, name, list, rowOf }: NaiveTable,
): Promise<{ url: string; close: () => void }> {
  for (const statement of make) await stack.sql(statement);
  await stack.sql(`grant all on public.${name} to service_role`);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const body = await request.json() as Record<string, Record<string, unknown>[]>;
      const token = request.headers.get("authorization")!.split(".")[1]!;
      const user_id = JSON.parse(atob(token.replaceAll("-", "+").replaceAll("_", "/"))).sub;
      for (const item of body[list]!) {
        const { error } = await stack.service.from(name).insert({ user_id, ...rowOf(item) });
        if (error) return new Response(error.message, { status: 400 });
      }
      return Response.json({ ok: true });
    },
  );
  return { url: `http://127.0.0.1:${server.addr.port}/`, close: () => void server.shutdown() };
}

/** Posts JSON as a person, to a function of ours or to the naive one. */
export async function post(
  stack: TestStack,
  url: string,
  user: TestUser,
  body: unknown,
): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      apikey: stack.publishableKey,
      authorization: `Bearer ${user.jwt}`,
      "content-type": "application/json",
    },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  await response.body?.cancel();
}
