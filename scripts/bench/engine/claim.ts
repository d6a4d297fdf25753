import postgres from "postgres";
import { median } from "../quantile.ts";
import { scratch } from "./scratch.ts";

const BACKLOG = 20_000;

/** Median milliseconds of claiming ten runs while 20,000 of a hundred users wait. */
export async function claimFromBacklog(server: string): Promise<number> {
  await using database = await scratch(server, true);
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  try {
    await sql`insert into public.mira_tool_definitions (name, schema, function_path)
      values ('bench_echo', '{"type":"object"}', 'internal:echo') on conflict do nothing`;
    await sql`insert into auth.users (id, email)
      select gen_random_uuid(), 'u' || i || '@bench.example' from generate_series(1, 100) i`;
    const graph = {
      nodes: [{ name: "start", type: "start" }, {
        name: "a",
        type: "tool",
        config: { tool: "bench_echo" },
      }, { name: "end", type: "end" }],
      edges: [{ source: "start", target: "a" }, { source: "a", target: "end" }],
    };
    await sql`select count(public.mira_start_run(u.id, p_workflow => ${sql.json(graph)}))
      from auth.users u, generate_series(1, ${BACKLOG / 100}::int)`;
    await sql`analyze`;
    const times: number[] = [];
    for (let i = 0; i < 40; i++) {
      const began = performance.now();
      const [row] = await sql`select public.mira_claim_tasks(10) as reply`;
      times.push(performance.now() - began);
      if (row!.reply.tasks.length !== 10) throw new Error("a claim of ten gave fewer");
    }
    return median(times.slice(10));
  } finally {
    await sql.end();
  }
}
