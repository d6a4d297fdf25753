/**
 * What the tests of simultaneous calls share: a database of a real server (MIRA_TEST_DB_URL) with more
 * than one connection, a person, and short ways to start, report and look.
 */

import postgres from "postgres";
import { openTestDatabase } from "../support/test_database.ts";

/** What a worker is handed. */
export interface Task {
  run_id: string;
  seq: number;
  epoch: number;
  items?: { idx: number; attempt: number; value: number }[];
}

/** What the engine answers. */
export interface Reply {
  run_id: string;
  status: string;
  tasks: Task[];
}

const native = Deno.env.get("MIRA_TEST_DB_URL") !== undefined;

/** A test that needs a real server. */
export function race(name: string, run: () => Promise<void>): void {
  Deno.test({ name, ignore: !native, fn: run, sanitizeOps: false, sanitizeResources: false });
}

/** Who starts the runs. */
export const user = crypto.randomUUID();
/** Twelve connections. */
export let sql: postgres.Sql;
/** An active workflow of one tool. */
export let child: string;

if (native) {
  let close = () => Promise.resolve();
  Deno.test.beforeAll(async () => {
    const database = await openTestDatabase();
    close = () => database.close();
    const [row] = await database.db.query("select current_database() as name");
    const url = new URL(Deno.env.get("MIRA_TEST_DB_URL")!);
    url.pathname = `/${row!.name}`;
    sql = postgres(url.href, { max: 12, onnotice: () => {} });
    await sql`insert into auth.users (id, email) values (${user}, 'race@example.com')`;
    await sql`insert into public.mira_tool_definitions (name, schema, function_path)
      values ('echo', '{"type":"object"}', 'internal:echo') on conflict do nothing`;
    child = await activeWorkflow(user);
  });
  Deno.test.afterAll(async () => {
    await sql.end();
    await close();
  });
}

export const tool = (name: string) => ({ name, type: "tool", config: { tool: "echo" } });
export const edge = (source: string, target: string) => ({ source, target });
export const ends = [{ name: "start", type: "start" }, { name: "end", type: "end" }];

/** An active workflow of one tool, and nothing that keeps its runs off the straight road. */
export async function activeWorkflow(owner: string): Promise<string> {
  const id = crypto.randomUUID();
  await sql`insert into public.mira_workflows (id, user_id, name) values (${id}, ${owner}, 'child')`;
  const [a, b] = [crypto.randomUUID(), crypto.randomUUID()];
  await sql`insert into public.mira_workflow_nodes (id, workflow_id, type, name, config) values
    (${a}, ${id}, 'start', 'start', '{}'), (${b}, ${id}, 'tool', 't', '{"tool":"echo"}')`;
  await sql`insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id)
    values (${id}, ${a}, ${b})`;
  await sql`update public.mira_workflows set is_active = true where id = ${id}`;
  return id;
}

/** Starts a run of a graph as the caller's own, leased unless said otherwise. */
export async function start(
  nodes: unknown[],
  edges: unknown[],
  lease = 60_000,
  input: unknown = {},
): Promise<Reply> {
  const graph = { nodes: [...ends, ...nodes], edges };
  const [row] = await sql`select public.mira_start_run(${user},
    p_workflow => ${sql.json(graph as never)}, p_input => ${sql.json(input as never)},
    p_lease_ms => ${lease}) as reply`;
  return row!.reply;
}

/** A step is done. */
export async function report(task: Task): Promise<Reply> {
  const [row] = await sql`select public.mira_advance(${task.run_id}, ${task.epoch}, ${task.seq},
    '{"output": 1}') as reply`;
  return row!.reply;
}

/** Does tasks and whatever they lead to. */
export async function drive(tasks: Task[]): Promise<void> {
  await Promise.all(tasks.map(async (task) => drive((await report(task)).tasks)));
}

/** Which statuses these runs have. */
export const statuses = async (ids: string[]) =>
  (await sql`select distinct status from public.mira_workflow_state where id = any(${ids}::uuid[]) order by 1`)
    .map((row) => row.status);
