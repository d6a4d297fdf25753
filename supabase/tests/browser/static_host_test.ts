/** The console and the client on a plain static host, against a project of another origin. */

import assert from "node:assert/strict";
import { extname } from "node:path";
import { browserTest, launchChromium } from "../support/browser.ts";
import { startStack } from "../support/stack.ts";

const SCRIPTS = new URL("../../../scripts/", import.meta.url);
const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
};

/** Files of `scripts/` and nothing else: no config, no rewriting. */
function startStaticHost(signal: AbortSignal) {
  const options = { hostname: "127.0.0.1", port: 0, signal, onListen: () => {} };
  return Deno.serve(options, async (request) => {
    const path = new URL(request.url).pathname.replace(/\/$/, "/index.html");
    const file = await Deno.readFile(new URL("." + path, SCRIPTS)).catch(() => null);
    if (!file) return new Response("not found", { status: 404 });
    return new Response(file, {
      headers: { "content-type": TYPES[extname(path)] ?? "text/plain" },
    });
  });
}

browserTest(
  "on a static host the console asks for the project, refuses a secret key, and works across origins",
  async () => {
    const stack = await startStack();
    const stop = new AbortController();
    const host = startStaticHost(stop.signal);
    const origin = `http://127.0.0.1:${host.addr.port}`;
    const context = await (await launchChromium()).newContext();
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(30_000);
      await page.goto(`${origin}/sample/`);
      await page.getByText("which project this is").waitFor();
      await page.goto(`${origin}/console/`);
      await page.fill("[name=url]", stack.url);
      await page.fill("[name=publishableKey]", "sb_secret_0123456789");
      await page.click("text=Open");
      await page.getByText("must never be in a browser").waitFor();
      assert.equal(await page.evaluate(() => localStorage.getItem("mira.project")), null);
      await page.fill("[name=publishableKey]", stack.publishableKey);
      await page.click("text=Open");
      await page.fill("[name=email]", "far@example.com");
      await page.fill("[name=password]", "correct horse battery");
      await page.click("text=Create account");
      await page.getByText("Nothing has happened yet").waitFor();

      const app = await context.newPage();
      await app.goto(`${origin}/sample/`);
      await app.click("[data-mira=new-lead]");
      await app.close({ runBeforeUnload: true }); // its last events cross origins with a closing page
      await page.bringToFront();
      await page.getByText("New lead").first().waitFor();
      const again = await context.newPage();
      await again.goto(`${origin}/sample/`);
      await page.getByText("left /leads/new").first().waitFor();
    } finally {
      await context.close();
      stop.abort(); // not shutdown(): the browser keeps its connections
      await stack.close();
    }
  },
);
