/**
 * Measures one engine in a process of its own and prints one line of JSON.
 * `deno run -A measure.ts <subject> <database url> <runs> [fan-out items]`
 */

import postgres from "postgres";
import { median } from "../quantile.ts";
import { latencies, WARM_UP } from "./latencies.ts";
import { STEPS } from "./subject.ts";
import { openSubject } from "./subjects.ts";

const IN_FLIGHT = 16;

const [name = "", url = "", runs = "200", items = "0"] = Deno.args;
const admin = postgres(url, { max: 1, onnotice: () => {} });
const wal = async () =>
  Number((await admin`select pg_current_wal_lsn() - '0/0'::pg_lsn as at`)[0]!.at);
const subject = await openSubject(name, url);

async function many(count: number): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (next < count) await subject.run(next++);
  }));
}

const result: Record<string, number | string> = { name };
// One at a time comes first: no engine has more than one connection open yet, so none is slowed by a
// driver that hands sixteen out in turn.
await latencies(subject, WARM_UP);
result.p50_ms = median(await latencies(subject, 200));

await many(Math.min(100, Number(runs)));
const from = { wal: await wal(), statements: subject.statements?.() ?? 0, at: performance.now() };
await many(Number(runs));
const steps = Number(runs) * STEPS.length;
result.steps_per_s = steps / (performance.now() - from.at) * 1000;
result.wal_per_step = (await wal() - from.wal) / steps;
if (subject.statements) {
  result.statements_per_step = (subject.statements() - from.statements) / steps;
}

if (subject.runMany) {
  await subject.runMany(100);
  const began = performance.now();
  await subject.runMany(Number(runs) * 2);
  result.batched_per_s = Number(runs) * 2 * STEPS.length / (performance.now() - began) * 1000;
}
if (subject.fanOut && Number(items) > 0) {
  await subject.fanOut(100, 2);
  const began = performance.now();
  await subject.fanOut(Number(items), 2);
  result.fanout_per_s = Number(items) / (performance.now() - began) * 1000;
}
console.log(JSON.stringify(result));
await subject.close();
await admin.end();
Deno.exit(0);
