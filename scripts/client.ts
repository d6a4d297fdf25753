/**
 * `deno task client`: bundles functions-shared/client into `scripts/console/vendor/mira.js`, one
 * minified ES module that any page can import, and prints its size against the budget.
 *
 * The bundle is committed, so that the console and the sample app need no build step and any
 * static host can serve them. `--check` fails when it is out of step with its sources (esbuild is
 * pinned: same sources, same bytes). `--vendor` also renews the two libraries beside it.
 */
import { build, stop } from "esbuild";

const OUT = new URL("./console/vendor/", import.meta.url);
const BUDGET = 12 * 1024;

const LIBRARIES = {
  "ui.js": {
    notice: "preact 11.2.0 (MIT, Jason Miller) and htm 3.1.1 (Apache-2.0, Jason Miller)",
    source: `import { h } from "preact"; import htm from "htm"; export * from "preact";
      export * from "preact/hooks"; export const html = htm.bind(h);`,
  },
  "supabase.js": {
    notice: "@supabase/supabase-js 2.119.0 (MIT, Supabase)",
    source: `export { createClient } from "@supabase/supabase-js";`,
  },
};

/** The client as one ES module, the same text on every machine for the same sources. */
export async function bundleClient(): Promise<string> {
  try {
    const { outputFiles } = await build({
      entryPoints: [new URL("../functions-shared/client/mod.ts", import.meta.url).pathname],
      bundle: true,
      minify: true,
      write: false,
      format: "esm",
      target: "es2022",
      tsconfigRaw: {},
      banner: { js: "// Mira browser client. Made by `deno task client`; do not edit. MIT." },
    });
    return outputFiles[0]!.text;
  } finally {
    await stop();
  }
}

/** Bytes of `text` after gzip, as a server would send it. */
export async function gzippedSize(text: string): Promise<number> {
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(packed).arrayBuffer()).byteLength;
}

/** Bundles a library from npm for the browser, under a notice of what it is and whose. */
async function vendor(name: string, notice: string, source: string): Promise<void> {
  const entry = new URL(`./${name}.entry.ts`, import.meta.url);
  await Deno.writeTextFile(entry, source);
  try {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", "--quiet", "--platform", "browser", "--minify", entry.pathname],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const text = `// ${notice}. Vendored by \`deno task client --vendor\`.\n` +
      new TextDecoder().decode(stdout);
    await Deno.writeTextFile(new URL(name, OUT), text);
    console.log(`vendor/${name}: ${kilobytes(await gzippedSize(text))} gzipped`);
  } finally {
    await Deno.remove(entry);
  }
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KB`;
}

if (import.meta.main) {
  const file = new URL("mira.js", OUT);
  const text = await bundleClient();
  const size = await gzippedSize(text);
  if (Deno.args.includes("--check")) {
    if (await Deno.readTextFile(file).catch(() => "") !== text) {
      console.error("scripts/console/vendor/mira.js is out of step: run `deno task client`.");
      Deno.exit(1);
    }
  } else await Deno.writeTextFile(file, text);
  if (Deno.args.includes("--vendor")) {
    for (const [name, { notice, source }] of Object.entries(LIBRARIES)) {
      await vendor(name, notice, source);
    }
  }
  console.log(`vendor/mira.js: ${kilobytes(size)} gzipped (budget ${kilobytes(BUDGET)})`);
  if (size > BUDGET) {
    console.error("The client has grown beyond its budget.");
    Deno.exit(1);
  }
}
