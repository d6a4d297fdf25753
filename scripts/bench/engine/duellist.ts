/**
 * One side of a duel (duel.ts), in a process of its own: told a number of runs, a line each, it does
 * them one at a time and answers with a line of JSON, their milliseconds. It ends with its input.
 * `deno run -A duellist.ts <subject> <database url>`
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { latencies } from "./latencies.ts";
import { openSubject } from "./subjects.ts";

const answer = console.log;
console.log = console.error; // what a library has to say is no answer

const [name = "", url = ""] = Deno.args;
const subject = await openSubject(name, url);
for await (const runs of createInterface({ input: process.stdin })) {
  answer(JSON.stringify(await latencies(subject, Number(runs))));
}
Deno.exit(0); // workers that poll would go on; the database goes with the duel
