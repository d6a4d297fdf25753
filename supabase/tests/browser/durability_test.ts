/** No event is lost or doubled: reloads, closed tabs, a server that is killed and comes back. */

import assert from "node:assert/strict";
import type { BrowserContext, Page } from "playwright-core";
import { browserTest, launchChromium } from "../support/browser.ts";

/** What the sample app leaves for tests. */
interface InPage {
  mira: { track(name: string): boolean; flush(): Promise<void>; stats(): { queued: number } };
}

const START = new URL("../../../scripts/start.ts", import.meta.url).pathname;

/** A stack on a fixed port and a folder of its own, so that it can be killed and come back. */
async function start(home: string, port: number) {
  const envFile = `${home}/env-${crypto.randomUUID()}`;
  const child = new Deno.Command(Deno.execPath(), {
    // deno-fmt-ignore
    args: ["run", "-A", START, "--home", home, "--port", String(port), "--env-out", envFile,
      "--no-cron", "--no-watch", "--quiet", "--exit-with-stdin"],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  for (let waited = 0;; waited += 50) {
    const text = await Deno.readTextFile(envFile).catch(() => "");
    if (text) {
      const env = Object.fromEntries(text.trim().split("\n").map((line) => line.split("=", 2)));
      return {
        url: env["API_URL"]!,
        secret: env["SECRET_KEY"]!,
        async kill() {
          child.kill("SIGKILL");
          await child.status;
          await child.stdin.close().catch(() => {});
        },
      };
    }
    assert.ok(waited < 60_000, "the stack did not start");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The sample app in a tab of its own, ready to record. */
async function open(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${url}/sample/`);
  await page.waitForFunction(() => "mira" in globalThis);
  return page;
}

browserTest(
  "reloads, closed tabs and a server killed twice: every event is there, once",
  async () => {
    const home = await Deno.makeTempDir({ prefix: "mira-durability-" });
    let server = await start(home, 0);
    const { url } = server;
    const port = Number(new URL(url).port);
    const context = await (await launchChromium()).newContext();
    let made = 0;
    let clicks = 0;
    /** `count` events by hand, and a real press on something that is not recorded otherwise. */
    const act = async (page: Page, count: number) => {
      const names = Array.from({ length: count }, () => `event-${made++}`);
      const kept = await page.evaluate(
        (names) =>
          names.filter((name) => (globalThis as unknown as InPage).mira.track(name)).length,
        names,
      );
      assert.equal(kept, count);
      await page.click("[data-mira=view-table]");
      clicks++;
    };
    try {
      let page = await open(context, url);
      await page.fill("[name=email]", "ana@example.com");
      await page.fill("[name=password]", "correct horse");
      await page.click("button[value=up]");
      await page.waitForSelector("header.bar");

      await act(page, 40);
      await page.reload(); // before the first batch would have left
      await page.waitForSelector("header.bar");
      await act(page, 30);
      await page.close(); // with everything still unsent
      page = await open(context, url);
      await page.waitForSelector("header.bar");
      const second = await open(context, url); // two tabs share one queue
      await second.waitForSelector("header.bar");
      await Promise.all([act(page, 60), act(second, 60)]);

      await server.kill(); // while requests may be under way
      await act(page, 50);
      await act(second, 25);
      await second.close();
      await page.waitForTimeout(1500); // some attempts fail
      server = await start(home, port);
      await act(page, 20);
      await page.waitForTimeout(300);
      await server.kill();
      await act(page, 20);
      await page.close();
      server = await start(home, port);

      page = await open(context, url);
      await page.waitForSelector("header.bar");
      await page.waitForFunction(
        () =>
          (globalThis as unknown as InPage).mira.flush().then(() =>
            (globalThis as unknown as InPage).mira.stats().queued === 0
          ),
        undefined,
        { timeout: 30_000, polling: 500 },
      );
      const answer = await fetch(`${url}/pg/query`, {
        method: "POST",
        headers: { apikey: server.secret, "content-type": "application/json" },
        body: JSON.stringify({
          query: `select count(*)::int as rows, count(distinct target)::int as targets
          from public.mira_behavioral_events where event_type = 'custom'
          union all
          select count(*)::int, count(distinct event_id)::int
          from public.mira_behavioral_events where event_type = 'click' and target = 'view-table'`,
        }),
      });
      const [custom, pressed] = await answer.json();
      assert.deepEqual(custom, { rows: made, targets: made });
      assert.deepEqual(pressed, { rows: clicks, targets: clicks });
    } finally {
      await context.close();
      await server.kill();
      await Deno.remove(home, { recursive: true });
    }
  },
);
