/**
 * The curl examples of every function's README, run as they stand against a stack. An ellipsis in
 * an example stands for a value of the reader's own; here it is one that fits.
 */

import assert from "node:assert/strict";
import { type Route, ROUTES } from "../../../functions-shared/contracts/routes.ts";
import { inLargeBatches, recordedBatches } from "../../../scripts/sample/replay.ts";
import { startStack, type TestUser } from "../support/stack.ts";

const ROOT = new URL("../../../", import.meta.url);
const GRAPH = {
  nodes: [{ type: "start", name: "begin" }, { type: "end", name: "done" }],
  edges: [{ source: "begin", target: "done" }],
};

/** Posts JSON as the reader and gives back the answer. */
// deno-lint-ignore no-explicit-any -- every function answers with something else
type Call = (path: string, json: unknown) => Promise<any>;

/** The blocks of a README: what to set first, and its curl commands, each complete. */
async function examples(slug: string): Promise<{ setup: string; commands: string[] }> {
  const text = await Deno.readTextFile(new URL(`supabase/functions/${slug}/README.md`, ROOT));
  const lines = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block]) =>
    block!.split("\n")
  );
  const setup: string[] = [];
  const commands: string[] = [];
  let open = "";
  for (const line of lines) {
    if (!open && /^[A-Z]+=/.test(line)) setup.push(line);
    if (!open && !line.startsWith("curl")) continue;
    open += (open ? "\n" : "") + line;
    const isWhole = (open.match(/(?<!\\)'/g)?.length ?? 0) % 2 === 0;
    if (!isWhole) continue;
    commands.push(open);
    open = "";
  }
  return { setup: setup.join("\n"), commands };
}

/** The example with the reader's own values in it. */
function filled(command: string, values: Record<string, string>): string {
  return command
    .replaceAll("{…}", JSON.stringify(GRAPH))
    .replace(/"(\w+)":\s*"…"/g, (_, key) => `"${key}":"${values[key] ?? crypto.randomUUID()}"`)
    .replace(/(\w+)=…/g, (_, key) => `${key}=${values[key] ?? crypto.randomUUID()}`)
    .replace(/<(\w+)>/g, (whole, key) => values[key] ?? whole)
    .replaceAll("https://…", "https://example.com/report")
    .replaceAll("…", "0123456789abcdef");
}

/** A model service that answers anything: chat with one line, embeddings by the words' letters. */
function startModels() {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const body = await request.json();
    if (!new URL(request.url).pathname.endsWith("/embeddings")) {
      return Response.json({
        model: "test",
        choices: [{
          message: { role: "assistant", content: "Dear Ada, hello." },
          finish_reason: "stop",
        }],
        usage: { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 },
      });
    }
    const data = [body.input].flat().map((text: string, index: number) => {
      const embedding = Array(1536).fill(0.001);
      for (const letter of text.toLowerCase()) embedding[letter.charCodeAt(0) % 128] += 1;
      return { index, embedding, object: "embedding" };
    });
    return Response.json({ model: body.model, data, usage: { prompt_tokens: 1, total_tokens: 1 } });
  });
}

Deno.test("every curl example of every README works, and every route has one", async (t) => {
  const models = startModels();
  const url = `http://127.0.0.1:${models.addr.port}/v1`;
  const stack = await startStack({
    env: {
      MIRA_LLM_URL: url,
      MIRA_LLM_KEY: "test",
      MIRA_LLM_MODEL: "test",
      MIRA_LLM_PRICES: '{"test":{"input":0.1,"output":0.4}}',
      MIRA_EMBEDDINGS_URL: url,
      MIRA_EMBEDDINGS_KEY: "test",
      MIRA_EMBEDDINGS_MODEL: "test",
    },
  });
  try {
    const user = await stack.newUser();
    const call: Call = async (path, json) => {
      const response = await stack.fetch(`/functions/v1/${path}`, { as: user, json });
      const body = await response.json();
      assert.ok(response.ok, `${path}: ${JSON.stringify(body)}`);
      return body;
    };
    const values = await belongings(call, user);
    const done: string[] = [];

    for (const slug of Object.keys(ROUTES)) {
      const { setup, commands } = await examples(slug);
      for (const command of commands) {
        await t.step(`${slug}: ${command.split("\n")[0]!.slice(0, 100)}`, async () => {
          const run = /\$RUN_ID/.test(command)
            ? await waitingRun(call, /\/fork/.test(command))
            : "";
          const env = { ...values, ...(run ? { RUN_ID: run } : {}) };
          const isStream = /\bcurl -N/.test(command);
          const text = filled(command, env).replace(
            /^curl/,
            `curl -sS --max-time ${isStream ? 2 : 30} -w '\\n%{http_code}'`,
          );
          const { stdout, stderr } = await new Deno.Command("bash", {
            args: ["-c", `${setup}\n${text}`.replaceAll("http://127.0.0.1:54321", stack.url)],
            env: {
              ...env,
              PUBLISHABLE_KEY: stack.publishableKey,
              SECRET_KEY: stack.secretKey,
              CRON_KEY: stack.cronKey,
              USER_JWT: user.jwt,
              JWT: user.jwt,
            },
          }).output();
          const answer = new TextDecoder().decode(stdout);
          const status = answer.split("\n").at(-1);
          assert.match(status!, /^2\d\d$/, `${text}\n${answer}${new TextDecoder().decode(stderr)}`);
        });
        done.push(...requests(stack.output(), slug));
      }
    }

    for (const [slug, routes] of Object.entries(ROUTES)) {
      for (const route of routes) {
        await t.step(`${slug} has an example of ${route.verb.toUpperCase()} ${route.path}`, () => {
          assert.ok(done.some((request) => matches(request, slug, route)), "no example reached it");
        });
      }
    }
  } finally {
    await stack.close();
    await models.shutdown();
  }
});

/** Things the examples speak of: a habit, a session, a workflow, a pattern, a key, a task. */
async function belongings(call: Call, user: TestUser) {
  const batches = inLargeBatches(await recordedBatches(new Date())).filter((one) =>
    one.user === "ana"
  );
  for (const { events } of batches) await call("track-event", { events });
  await call("learn-patterns", {});
  const { data } = await user.client.from("mira_learned_patterns").select("id")
    .eq("pattern_type", "workflow_habit").limit(1).single();
  const { workflow_id } = await call(`learn-patterns/${data!.id}/promote`, {});
  const pattern = await call("find-patterns/record", {
    trigger: "call the new leads",
    actions: [{ tool: "log-call" }],
    final_outcome: "success",
  });
  const { task_id } = await call("log-execution/tasks", { description: "an example" });
  const values: Record<string, string> = {
    pattern_id: data!.id,
    session_id: batches[0]!.events[0]!.session_id,
    WORKFLOW_ID: workflow_id,
    ID: pattern.id,
    task_id,
    TASK: task_id,
    EMBEDDING: JSON.stringify(Array.from({ length: 8 }, (_, i) => i + 1)),
  };
  const { id } = await call("upsert-tokens/api-keys", {
    provider: "example",
    key: "0123456789abcdef",
  });
  return { ...values, PATTERN_ID: data!.id, TASK_ID: task_id, id, KEY_ID: id };
}

/** A run that waits for its person; for forking, one whose person has answered. */
async function waitingRun(
  call: Call,
  isAnswered: boolean,
) {
  const { run_id } = await call("run-workflow", {
    workflow: {
      nodes: [
        { type: "start", name: "begin" },
        { type: "tool", name: "draft", config: { tool: "compose", arguments: { text: "Hello" } } },
        { type: "human", name: "approve", config: { prompt: "Send this?" } },
        { type: "tool", name: "note", config: { tool: "log", arguments: { message: "sent" } } },
        { type: "tool", name: "last", config: { tool: "log", arguments: { message: "done" } } },
        { type: "end", name: "done" },
      ],
      edges: [["begin", "draft"], ["draft", "approve"], ["approve", "note"], ["note", "last"], [
        "last",
        "done",
      ]]
        .map(([source, target]) => ({ source, target })),
    },
  });
  if (isAnswered) await call(`run-workflow/${run_id}/resume`, { value: true });
  return run_id as string;
}

/** `verb /path` of the requests that a function answered, from the stack's log. */
function requests(output: string, slug: string): string[] {
  return output.split("\n").flatMap((line) => {
    if (!line.includes(`"function":"${slug}"`) || !line.includes('"event":"request"')) return [];
    const { method, path } = JSON.parse(line);
    return [`${method.toLowerCase()} ${path}`];
  });
}

function matches(request: string, slug: string, { verb, path }: Route): boolean {
  const [asked, at] = request.split(" ");
  const wanted = `/${slug}${path === "/" ? "" : path}`.split("/");
  const given = at!.replace(/\/$/, "").split("/");
  return asked === verb && wanted.length === given.length &&
    wanted.every((part, i) =>
      part.startsWith(":") ? /^[0-9a-f-]{36}$|^google$/.test(given[i]!) : part === given[i]
    );
}
