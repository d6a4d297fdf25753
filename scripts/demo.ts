/**
 * `deno task demo`: the whole loop on the recorded sample, through supabase-js.
 *
 * Sign up the sample's people, replay what they did, learn, read what was learned, promote a habit,
 * recall it by meaning, run workflows and read their logs. Every part must find something real, or
 * the demo fails.
 */

import { parseArgs } from "node:util";
import { createClient } from "@supabase/supabase-js";
import { inLargeBatches, recordedBatches } from "./sample/replay.ts";
import { startStack } from "../supabase/tests/support/stack.ts";
import { Progress } from "./demo/progress.ts";
import { leadWorkflow } from "./demo/lead_workflow.ts";
import { describePattern } from "./demo/describe_pattern.ts";

const HELP = `deno task demo [options]

  --url <url>        a running stack (deno task start) instead of one of its own
  --key <key>        its publishable key
  --cron-key <key>   its cron key, to learn for everybody at once
  --help             this text`;

const { values: flags } = parseArgs({
  args: Deno.args,
  options: {
    url: { type: "string" },
    key: { type: "string" },
    "cron-key": { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) {
  console.log(HELP);
  Deno.exit(0);
}

const began = performance.now();
const own = flags.url === undefined ? await startStack() : undefined;
const url = own?.url ?? flags.url!;
const key = own?.publishableKey ?? flags.key ?? "";
const cronKey = own?.cronKey ?? flags["cron-key"];
let failures = 0;

try {
  say(`Mira at ${url}${own ? " (its own, in memory)" : ""}, ready after ${since(began)}`);
  const people = await signUp();
  await track(people);
  await learn(people);
  const patterns = await showLearned(people);
  await promoteAndRecall(people, patterns);
  await runWorkflow(people.get("ana") ?? people.values().next().value!);
} catch (error) {
  failures++;
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
} finally {
  await own?.close();
}
say(failures === 0 ? `\nThe whole loop took ${since(began)}.` : "");
Deno.exit(failures === 0 ? 0 : 1);

type Person = { name: string; id: string; client: ReturnType<typeof client> };
// deno-lint-ignore no-explicit-any
type Row = Record<string, any>;

function client() {
  return createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false } });
}

/** One account for each person of the recording. */
async function signUp(): Promise<Map<string, Person>> {
  title("1. People sign up");
  const names = [...new Set((await recordedBatches(new Date())).map((batch) => batch.user))].sort();
  const people = new Map<string, Person>();
  for (const name of names) {
    const person = client();
    const { data, error } = await person.auth.signUp({
      email: `${name}.${crypto.randomUUID().slice(0, 8)}@example.com`,
      password: crypto.randomUUID(),
    });
    if (error || !data.user) throw error ?? new Error("sign-up gave no user");
    people.set(name, { name, id: data.user.id, client: person });
  }
  say(`  ${names.length} people: ${names.join(", ")}`);
  return people;
}

/** Replays the recording in batches, four requests at a time. */
async function track(people: Map<string, Person>): Promise<void> {
  title("2. track-event: what they did, recorded in a real browser");
  const batches = inLargeBatches(await recordedBatches(new Date()), 100);
  const total = batches.reduce((sum, batch) => sum + batch.events.length, 0);
  const progress = new Progress("sent", total, "events");
  const sums = { accepted: 0, duplicates: 0, rejected: 0, sent: 0 };
  const started = performance.now();
  // a person's batches go in order, people side by side
  await Promise.all([...people.values()].map(async (person) => {
    for (const { user, events } of batches) {
      if (user !== person.name) continue;
      const receipt = await call(person, "track-event", { events });
      sums.accepted += receipt["accepted"];
      sums.duplicates += receipt["duplicates"];
      sums.rejected += receipt["rejected"].length;
      sums.sent += events.length;
      progress.update(sums.sent);
    }
  }));
  const rate = Math.round(total / ((performance.now() - started) / 1000));
  say(
    `  ${sums.accepted} stored, ${sums.duplicates} duplicates seen through, ${sums.rejected} rejected; ${rate} events/s`,
  );
  need(sums.accepted > 0 && sums.rejected === 0, "the recording was not stored whole");
  need(sums.accepted + sums.duplicates === total, "receipts do not add up");
}

/** Learns as the scheduler does, call by call within its budget, until nothing is left. */
async function learn(people: Map<string, Person>): Promise<void> {
  title("3. learn-patterns: struggles, preferences, habits");
  const started = performance.now();
  const sums = { users: 0, events: 0, calls: 0 };
  const step = async (send: () => Promise<Row>) => {
    for (let more = true; more; sums.calls++) {
      const result = await send();
      sums.users += result["users"];
      sums.events += result["events"];
      more = result["more"];
    }
  };
  if (cronKey !== undefined) {
    await step(async () => {
      const response = await fetch(`${url}/functions/v1/learn-patterns`, {
        method: "POST",
        headers: { apikey: cronKey, "content-type": "application/json" },
        body: "{}",
      });
      if (!response.ok) throw new Error(`learn-patterns: ${await response.text()}`);
      return await response.json();
    });
  } else {
    for (const person of people.values()) await step(() => call(person, "learn-patterns", {}));
  }
  const seconds = (performance.now() - started) / 1000;
  say(
    `  ${sums.events} events of ${sums.users} users in ${sums.calls} calls, ${
      Math.round(sums.events / seconds)
    } events/s`,
  );
}

/** Prints what each person may read about themselves. */
async function showLearned(people: Map<string, Person>): Promise<Map<string, Row[]>> {
  const learned = new Map<string, Row[]>();
  for (const person of people.values()) {
    const { data, error } = await person.client.from("mira_learned_patterns").select("*")
      .is("valid_to", null).order("confidence", { ascending: false });
    if (error) throw error;
    learned.set(person.name, data);
    say(`\n  ${person.name}`);
    if (data.length === 0) say("    nothing yet");
    for (const pattern of data) say(`    ${describePattern(pattern)}`);
  }
  const all = [...learned.values()].flat();
  for (const type of ["struggle", "preference", "workflow_habit"]) {
    need(all.some((pattern) => pattern["pattern_type"] === type), `no ${type} was learned`);
  }
  return learned;
}

/** Turns the surest habit into a draft workflow and finds it again by meaning. */
async function promoteAndRecall(
  people: Map<string, Person>,
  learned: Map<string, Row[]>,
): Promise<void> {
  title("\n4. A habit becomes a draft workflow, and is recalled by meaning");
  const habits = [...learned].flatMap(([name, patterns]) =>
    patterns.filter((p) => p["pattern_type"] === "workflow_habit").map((pattern) => ({
      name,
      pattern,
    }))
  ).sort((a, b) => b.pattern["confidence"] - a.pattern["confidence"]);
  const best = habits[0]!;
  const person = people.get(best.name)!;
  const draft = await call(person, `learn-patterns/${best.pattern["id"]}/promote`, {});
  const { data: nodes } = await person.client.from("mira_workflow_nodes").select("type,name")
    .eq("workflow_id", draft["workflow_id"]);
  say(`  ${best.name}: ${describePattern(best.pattern)}`);
  say(
    `  → draft of ${nodes?.length ?? 0} nodes; replay on held-out sessions: ${
      JSON.stringify(draft["dry_run"])
    }`,
  );
  need((nodes?.length ?? 0) > 2, "the draft has no steps");

  const recordings = [
    ["export the weekly lead report as a spreadsheet", ["Search", "Filter", "Export"], "success"],
    ["answer a customer who asks for a refund", ["Read", "Reply"], "success"],
    ["import contacts from an old address book", ["Upload", "Map", "Import"], "failed"],
  ] as const;
  for (const [trigger, tools, final_outcome] of recordings) {
    await call(person, "find-patterns/record", {
      trigger,
      context: { project_type: "crm" },
      actions: tools.map((tool) => ({ tool, outcome: "success" })),
      final_outcome,
    });
  }
  const started = performance.now();
  const question = "send out this week's leads as an Excel file";
  const found = await call(person, "find-patterns", { query: question, threshold: 0.2 });
  say(`  "${question}"`);
  for (const pattern of found["patterns"].slice(0, 3)) {
    say(
      `    ${pattern["similarity"].toFixed(2)} similar, score ${pattern["score"].toFixed(2)}: ${
        pattern["trigger"]
      }`,
    );
  }
  for (const pattern of found["avoid"].slice(0, 2)) say(`    avoid: ${pattern["trigger"]}`);
  say(`  by ${found["model"]} in ${Math.round(performance.now() - started)} ms`);
  need(
    found["patterns"][0]?.trigger === recordings[0][0],
    "recall did not find the matching procedure first",
  );
}

/** Runs start → tool → router → tool → end and reads the trace it leaves. */
async function runWorkflow(person: Person): Promise<void> {
  title("\n5. run-workflow: a durable graph, and its record");
  for (const score of [82, 12]) {
    const started = performance.now();
    const run = await call(person, "run-workflow", {
      workflow: leadWorkflow(),
      input: { lead: "Ada Lovelace", score },
    });
    const { data: logs } = await person.client.from("execution_logs").select("level,message")
      .eq("task_id", run["run_id"]).order("seq");
    const { data: steps } = await person.client.from("tool_executions").select("tool_name,status")
      .eq("run_id", run["run_id"]);
    say(
      `  score ${score}: ${run["status"]} in ${Math.round(performance.now() - started)} ms → ${
        JSON.stringify(run["output"])
      }`,
    );
    for (const log of logs ?? []) say(`    ${log.level}: ${log.message}`);
    need(run["status"] === "completed", `the run ended ${run["status"]}`);
    need((logs?.length ?? 0) > 0, "the run left no log");
    need((steps?.length ?? 0) >= 2, "the run left no trace of its tools");
  }
}

async function call(person: Person, path: string, body: Row): Promise<Row> {
  const { data, error } = await person.client.functions.invoke(path, { body });
  if (error) {
    const detail = await error.context?.text?.().catch(() => "") ?? "";
    throw new Error(`${path}: ${error.message} ${detail}`);
  }
  return data;
}

function need(holds: boolean, otherwise: string): void {
  if (holds) return;
  failures++;
  console.error(`  FAILED: ${otherwise}`);
}

function say(line: string): void {
  console.log(line);
}

function title(line: string): void {
  console.log(`\n${line}`);
}

function since(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}
