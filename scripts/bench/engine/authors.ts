import type postgres from "postgres";
import { STEPS } from "./subject.ts";

const USERS = 16;

/** Sixteen users, each with an active workflow of five steps. */
export async function authors(
  sql: postgres.Sql,
  kind: "llm" | "tool",
): Promise<{ user: string; workflow: string }[]> {
  await sql`insert into public.mira_tool_definitions (name, schema, function_path)
    values ('bench_echo', '{"type":"object"}', 'internal:compose') on conflict do nothing`;
  const users: { user: string; workflow: string }[] = [];
  const config = kind === "tool" ? { tool: "bench_echo" } : { prompt: "x" };
  for (let i = 0; i < USERS; i++) {
    const user = crypto.randomUUID();
    await sql`insert into auth.users (id, email) values (${user}, ${`${user}@bench.example`})`;
    const [workflow] = await sql`insert into public.mira_workflows (user_id, name)
      values (${user}, 'bench') returning id`;
    const names = ["start", ...STEPS, "end"];
    const ids = names.map(() => crypto.randomUUID());
    for (const [at, name] of names.entries()) {
      const isStep = STEPS.includes(name);
      await sql`insert into public.mira_workflow_nodes (id, workflow_id, type, name, config)
        values (${ids[at]!}, ${workflow!.id}, ${isStep ? kind : name}, ${name},
          ${sql.json(isStep ? config : {})})`;
      if (at > 0) {
        await sql`insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id)
          values (${workflow!.id}, ${ids[at - 1]!}, ${ids[at]!})`;
      }
    }
    await sql`update public.mira_workflows set is_active = true where id = ${workflow!.id}`;
    users.push({ user, workflow: workflow!.id });
  }
  await sql`analyze`;
  return users;
}
