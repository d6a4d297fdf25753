/**
 * `deno task record`: drives the sample app in a real Chromium as six simulated people over five
 * weeks and writes what the real client sent, one request a line, to scripts/sample/data/events.jsonl.
 *
 * The clock is the page's own, moved by the recorder; chance and ids are seeded. Running it again
 * gives the same people doing the same things (positions on the screen depend on the fonts). With a
 * name, only that person is recorded, to standard output.
 */
import { type BrowserContext, chromium } from "playwright-core";
import { type Received, startBackend } from "./backend.ts";
import { Hand } from "./hand.ts";
import { PEOPLE, type Person } from "./people.ts";
import { Chance } from "./random.ts";

const MONDAY = Date.UTC(2026, 2, 2);
const OUT = new URL("../data/events.jsonl", import.meta.url);
const PASSWORD = "recording";

/** Runs inside the page before anything else: ids come from a seed. */
function seedIds(seed: number): void {
  let state = seed;
  const next = () => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, state | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return (t ^ t >>> 14) >>> 0;
  };
  crypto.randomUUID = () => {
    const hex = Array.from({ length: 4 }, () => next().toString(16).padStart(8, "0")).join("");
    return hex.replace(/(.{8})(.{4}).(.{3}).(.{3})(.{12})/, "$1-$2-4$3-8$4-$5") as ReturnType<
      typeof crypto.randomUUID
    >;
  };
}

async function visit(
  context: BrowserContext,
  backend: ReturnType<typeof startBackend>,
  person: Person,
  day: number,
): Promise<void> {
  const seed = PEOPLE.indexOf(person) * 1000 + day;
  const chance = new Chance(seed);
  const start = MONDAY + day * 86_400_000 + person.hour * 3_600_000 + chance.between(0, 2_400_000);
  const page = await context.newPage();
  await page.addInitScript(seedIds, seed * 7919 + 1);
  await page.clock.install({ time: start - 1000 });
  await page.clock.pauseAt(start);
  await page.goto(`${backend.url}/sample/`);
  await page.waitForFunction(() => "mira" in globalThis);
  const hand = new Hand(page, chance, backend.idle);
  await hand.wait(200);
  const signIn = page.getByRole("button", { name: "Sign in" });
  await page.locator("header.bar").or(signIn).waitFor();
  if (await signIn.count() > 0) {
    await page.fill("[name=email]", `${person.name}@example.com`);
    await page.fill("[name=password]", PASSWORD);
    await signIn.click();
    await page.locator("header.bar").waitFor();
  }
  await hand.think(2, 5);
  await person.visit(hand, day);
  await hand.think(3, 20);
  // Leaving the page: what is still unsent goes out with the client's last call.
  await page.goto("about:blank");
  await backend.idle();
  await page.close();
}

async function record(people: readonly Person[]): Promise<Received[]> {
  const backend = startBackend(new URL("../../", import.meta.url));
  const browser = await chromium.launch({
    executablePath: Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  try {
    for (const person of people) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      for (const day of person.days) await visit(context, backend, person, day);
      await context.close();
      const own = backend.received.filter((one) => one.user === person.name);
      const events = own.reduce((sum, one) => sum + one.body.events.length, 0);
      console.log(`${person.name}: ${person.days.length} visits, ${events} events`);
    }
  } finally {
    await browser.close();
    await backend.stop();
  }
  return backend.received;
}

const only = Deno.args[0];
const people = PEOPLE.filter((person) => !only || person.name === only);
const requests = (await record(people)).sort((a, b) =>
  a.body.sent_at.localeCompare(b.body.sent_at) || a.user.localeCompare(b.user)
);
const text = requests.map(({ user, body }) => JSON.stringify({ user, ...body })).join("\n") + "\n";
if (only) console.log(text);
else {
  await Deno.mkdir(new URL(".", OUT), { recursive: true });
  await Deno.writeTextFile(OUT, text);
  console.log(`${requests.length} requests, ${(text.length / 1024).toFixed(0)} KB`);
}
