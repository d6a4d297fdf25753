/** A real Chromium for tests, where one is installed. */

import { type Browser, chromium } from "playwright-core";

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Path of the installed Chromium (`CHROMIUM` wins), or undefined. */
export const CHROMIUM: string | undefined = [Deno.env.get("CHROMIUM"), ...PLACES]
  .find((path) => path !== undefined && isFile(path));

let shared: Promise<Browser> | undefined;

/** Chromium without a window, one for the whole test file; it ends with the process. */
export function launchChromium(): Promise<Browser> {
  return shared ??= chromium.launch({
    ...(CHROMIUM === undefined ? {} : { executablePath: CHROMIUM }),
    args: ["--no-sandbox"],
  }).then((browser) => {
    globalThis.addEventListener("unload", () => void browser.close());
    return browser;
  });
}

/**
 * A test that needs a browser; without one it is skipped under a name that says why. Playwright
 * keeps sockets and timers of its own, hence no sanitizing.
 */
export function browserTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: CHROMIUM ? name : `${name} (skipped: no Chromium installed)`,
    ignore: CHROMIUM === undefined,
    sanitizeOps: false,
    sanitizeResources: false,
    fn,
  });
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
