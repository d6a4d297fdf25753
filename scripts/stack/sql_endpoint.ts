/**
 * `POST /pg/query` with the secret key: SQL as the owner, the door that a local Supabase offers
 * through postgres-meta. PGlite has no wire port of its own, so tests and developers look into the
 * embedded database through it.
 *
 * Body: `{query, parameters?}`, and `{role, claims}` to run as the Data API would for that role.
 */

import type { SqlExecutor } from "../db/executor.ts";
import type { StackDatabase } from "./database.ts";

interface Query {
  query: string;
  parameters?: unknown[];
  role?: string;
  claims?: Record<string, unknown>;
}

/** Answers rows as JSON, or 400 with PostgreSQL's error. */
export async function runQuery(database: StackDatabase, request: Request): Promise<Response> {
  try {
    const { query, parameters = [], role, claims = {} } = await request.json() as Query;
    if (role === undefined) return Response.json(await database.sql.query(query, parameters));
    return Response.json(
      await database.session(async (sql) => {
        await sql.exec("begin");
        try {
          await actAs(sql, role, claims);
          const rows = await sql.query(query, parameters);
          await sql.exec("commit");
          return rows;
        } catch (error) {
          await sql.exec("rollback");
          throw error;
        }
      }),
    );
  } catch (error) {
    const { message, code } = error as { message?: string; code?: string };
    return Response.json({ message: message ?? String(error), code }, { status: 400 });
  }
}

async function actAs(sql: SqlExecutor, role: string, claims: Record<string, unknown>) {
  const settings = {
    "request.jwt.claims": JSON.stringify({ role, ...claims }),
    "request.jwt.claim.sub": String(claims["sub"] ?? ""),
    "request.jwt.claim.role": role,
    "role": role,
  };
  for (const [name, value] of Object.entries(settings)) {
    await sql.query("select set_config($1, $2, true)", [name, value]);
  }
}
