/**
 * Measures one engine in a process of its own and prints one line of JSON.
 * `deno run -A measure.ts <subject> <database url> <runs>`
 */

import postgres from "postgres";
import { median } from "../quantile.ts";
import { STEPS } from "./subject.ts";
import { openSubject } from "./subjects.ts";
import { WARM_UP, WORKS } from "./works.ts";

const [name = "", url = "", runs = "200"] = Deno.args;
const admin = postgres(url, { max: 1, onnotice: () => {} });
const wal = async () =>
  Number((await admin`select pg_current_wal_lsn() - '0/0'::pg_lsn as at`)[0]!.at);
const subject = await openSubject(name, url);

const result: Record<string, number | string> = { name };
// One at a time comes first: no engine has more than one connection open yet, so none is slowed by a
// driver that hands sixteen out in turn.
await WORKS.alone(subject, WARM_UP);
result.p50_ms = median(await WORKS.alone(subject, 200));

const count = Number(runs);
await WORKS.chain(subject, Math.min(100, count));
const from = { wal: await wal(), statements: subject.statements?.() ?? 0 };
result.steps_per_s = median(await WORKS.chain(subject, count));
const steps = count * STEPS.length;
result.wal_per_step = (await wal() - from.wal) / steps;
if (subject.statements) {
  result.statements_per_step = (subject.statements() - from.statements) / steps;
}
console.log(JSON.stringify(result));
await subject.close();
await admin.end();
Deno.exit(0);
