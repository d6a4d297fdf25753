/**
 * What the hosted platform would run, run here.
 *
 * The real `supabase functions deploy --use-api` uploads to a mock of the management API on this
 * machine. Each function is then started from nothing but the files that arrived, on the Deno the
 * platform is built on, and called. A file that the CLI's import walk misses fails here and not in
 * production.
 */

import { newKeyring } from "../vault_keys.ts";
import { npmTool } from "./npm_tool.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const CLI = "3.1.0";
/** Base of the hosted edge runtime. */
const HOSTED_DENO = "2.1.4";
const PROJECT = "abcdefghijklmnopqrst";
/** Largest bundle the platform takes, in bytes of source here. */
const MAX_BYTES = 20 * 1024 * 1024;

/** One uploaded function. */
interface Upload {
  slug: string;
  entrypoint: string;
  verifyJwt: boolean;
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

const uploads = await deploy();
const deno = await npmTool("deno", HOSTED_DENO);
let failed = 0;
for (const upload of uploads) {
  const problems = await tryOut(upload, deno);
  failed += problems.length > 0 ? 1 : 0;
  const size = [...upload.files.values()].reduce((sum, file) => sum + file.length, 0);
  console.log(
    `${problems.length === 0 ? "ok  " : "FAIL"} ${upload.slug}: ${upload.files.size} files, ` +
      `${Math.round(size / 1024)} KiB, verify_jwt ${upload.verifyJwt}`,
  );
  for (const problem of problems) console.log(`     ${problem}`);
}
console.log(`hosted parity: ${uploads.length - failed} passed, ${failed} failed`);
if (failed > 0 || uploads.length !== 6) Deno.exit(1);

/** Deploys all functions to the mock and returns what arrived. */
async function deploy(): Promise<Upload[]> {
  const uploads: Upload[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const url = new URL(request.url);
      if (url.pathname.endsWith("/functions/deploy")) {
        const form = await request.formData();
        const slug = url.searchParams.get("slug")!;
        const metadata = JSON.parse(String(await asText(form.get("metadata"))));
        const files = new Map<string, Uint8Array<ArrayBuffer>>();
        for (const file of form.getAll("file") as File[]) {
          files.set(file.name, new Uint8Array(await file.arrayBuffer()));
        }
        uploads.push({
          slug,
          entrypoint: metadata.entrypoint_path,
          verifyJwt: metadata.verify_jwt,
          files,
        });
        return Response.json({
          id: crypto.randomUUID(),
          slug,
          name: slug,
          version: 1,
          status: "ACTIVE",
          created_at: 1,
          updated_at: 1,
          verify_jwt: metadata.verify_jwt,
        }, { status: 201 });
      }
      await request.body?.cancel();
      if (url.pathname.endsWith("/functions")) {
        return Response.json(request.method === "PUT" ? { functions: [] } : []);
      }
      return Response.json({});
    },
  );
  const folder = await Deno.makeTempDir({ prefix: "mira-parity-" });
  const api = `http://127.0.0.1:${server.addr.port}`;
  await Deno.writeTextFile(
    `${folder}/profile.yaml`,
    `name: mock\napi_url: ${api}\ndashboard_url: ${api}\nproject_host: localhost\n`,
  );
  const { success, stdout, stderr } = await new Deno.Command(await npmTool("supabase", CLI), {
    args: [
      ...["functions", "deploy", "--use-api", `--remote=${PROJECT}`, "--yes"],
      ...["--profile", `${folder}/profile.yaml`, "--workdir", ROOT],
    ],
    env: {
      SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
      SUPABASE_HOME: folder,
      DO_NOT_TRACK: "1",
    },
    stdout: "piped",
    stderr: "piped",
  }).output();
  await server.shutdown();
  await Deno.remove(folder, { recursive: true });
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (!success || /WARN|failed to read/.test(said)) {
    console.log(said.split("\n").filter((line) => !line.startsWith("Uploading")).join("\n"));
  }
  if (!success) Deno.exit(1);
  return uploads.sort((a, b) => a.slug < b.slug ? -1 : 1);
}

/** Starts a function from its uploaded files alone and calls it; returns what went wrong. */
async function tryOut(upload: Upload, deno: string): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: `mira-${upload.slug}-` });
  const problems: string[] = [];
  let size = 0;
  for (const [name, bytes] of upload.files) {
    const path = `${folder}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(path, bytes);
    size += bytes.length;
  }
  if (size > MAX_BYTES) problems.push(`${size} bytes are more than the platform takes`);
  await Deno.writeTextFile(
    `${folder}/serve.ts`,
    `import worker from "./${upload.entrypoint}";
     const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, worker.fetch);
     console.log("port " + server.addr.port);
     // npm's launcher stands between: closing its input is what reaches the real process
     while (await Deno.stdin.read(new Uint8Array(64)) !== null);
     Deno.exit(0);`,
  );
  const child = new Deno.Command(deno, {
    args: ["run", "-A", "--no-lock", "--config", `${folder}/deno.json`, `${folder}/serve.ts`],
    env: {
      DENO_TLS_CA_STORE: "system",
      DENO_NO_UPDATE_CHECK: "1",
      SUPABASE_URL: "http://127.0.0.1:9",
      SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_x"}',
      SUPABASE_SECRET_KEYS: '{"default":"sb_secret_x","cron":"sb_secret_y"}',
      SUPABASE_JWKS: '{"keys":[]}',
      VAULT_KEYRING: newKeyring(),
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const failure = new Response(child.stderr).text();
  try {
    const port = await portOf(child.stdout);
    if (port === undefined) {
      problems.push(`did not boot: ${(await failure).trim().split("\n").slice(0, 4).join(" | ")}`);
      return problems;
    }
    const base = `http://127.0.0.1:${port}/${upload.slug}`;
    const expect = async (init: RequestInit, path: string, status: number) => {
      const response = await fetch(base + path, init);
      const text = await response.text();
      const wanted = status === 204 ||
        response.headers.get("content-type") === "application/problem+json";
      if (response.status !== status || !wanted) {
        problems.push(
          `${init.method} ${path || "/"} answered ${response.status}, not ${status}: ${
            text.slice(0, 200)
          }`,
        );
      }
    };
    await expect({ method: "OPTIONS" }, "", 204);
    await expect(
      { method: "POST", body: "{}", headers: { "content-type": "application/json" } },
      "",
      401,
    );
    await expect({ method: "GET" }, "/no/such/route", 404);
    await expect({ method: "PUT", body: "{}" }, "", 405);
  } finally {
    await child.stdin.close().catch(() => {});
    await child.status;
    await failure;
    await Deno.remove(folder, { recursive: true });
  }
  return problems;
}

/** The port the function printed; its further output is read and dropped, so that it can log. */
function portOf(stdout: ReadableStream<Uint8Array>): Promise<number | undefined> {
  return new Promise((resolve) => {
    (async () => {
      let text = "";
      for await (const chunk of stdout) {
        text = (text + new TextDecoder().decode(chunk)).slice(-200);
        const port = /port (\d+)/.exec(text)?.[1];
        if (port !== undefined) resolve(Number(port));
      }
      resolve(undefined);
    })();
  });
}

function asText(part: FormDataEntryValue | null) {
  return part instanceof File ? part.text() : part;
}
