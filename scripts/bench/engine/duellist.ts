/**
 * One side of a duel (duel.ts), in a process of its own: told how much to do, a line each, it does it
 * and answers with a line of JSON, the figures. It ends with its input.
 * `deno run -A duellist.ts <subject> <database url> <work>`
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { openSubject } from "./subjects.ts";
import { WORKS } from "./works.ts";

const answer = console.log;
console.log = console.error; // what a library has to say is no answer

const [name = "", url = "", work = ""] = Deno.args;
const subject = await openSubject(name, url);
for await (const count of createInterface({ input: process.stdin })) {
  const figures = Number(count) > 0
    ? await WORKS[work as keyof typeof WORKS](subject, Number(count))
    : [];
  answer(JSON.stringify(figures));
}
Deno.exit(0); // workers that poll would go on; the database goes with the duel
