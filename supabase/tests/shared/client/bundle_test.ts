import assert from "node:assert/strict";
import { bundleClient, gzippedSize } from "../../../../scripts/client.ts";

const COMMITTED = new URL("../../../../scripts/console/vendor/mira.js", import.meta.url);

Deno.test({
  name:
    "the committed bundle is what the client's sources make, within 12 KB gzipped, and imports nothing",
  sanitizeResources: false, // esbuild runs as a service of its own
  sanitizeOps: false,
  async fn() {
    const text = await bundleClient();
    assert.ok(await Deno.readTextFile(COMMITTED) === text, "run `deno task client`");
    assert.ok(await gzippedSize(text) <= 12 * 1024);
    assert.ok(!/\bimport\s*[{("'*]|\bfrom\s*["']/.test(text));
  },
});
