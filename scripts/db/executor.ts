/** One session on a PostgreSQL server: the little that migrations and checks need of a driver. */
export interface SqlExecutor {
  /** Runs one statement with parameters `$1…` and returns its rows. */
  query(text: string, params?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Runs one or more statements without parameters; their rows are dropped. */
  exec(sql: string): Promise<void>;
}

/** What {@linkcode pgliteExecutor} needs of a PGlite instance. */
export interface PgliteLike {
  query(text: string, params?: unknown[]): Promise<{ rows: unknown[] }>;
  exec(sql: string): Promise<unknown>;
}

/** What {@linkcode postgresExecutor} needs of an npm `postgres` client opened with `max: 1`. */
export interface PostgresLike {
  // deno-lint-ignore no-explicit-any
  unsafe(text: string, params?: any[]): PromiseLike<unknown>;
}

/** An executor over PGlite. */
export function pgliteExecutor(db: PgliteLike): SqlExecutor {
  return {
    query: async (text, params) => (await db.query(text, params)).rows as Record<string, unknown>[],
    exec: async (sql) => {
      await db.exec(sql);
    },
  };
}

/**
 * An executor over npm `postgres`. The client must be opened with `max: 1`, so that `begin`, the
 * work and `commit` travel over the same connection.
 */
export function postgresExecutor(client: PostgresLike): SqlExecutor {
  return {
    query: async (text, params) => [
      ...(await client.unsafe(text, params ?? [])) as Record<string, unknown>[],
    ],
    exec: async (sql) => {
      await client.unsafe(sql);
    },
  };
}
