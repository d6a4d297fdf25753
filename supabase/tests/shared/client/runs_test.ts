import assert from "node:assert/strict";
import { readEvents } from "../../../../functions-shared/client/event_stream.ts";
import { runs } from "../../../../functions-shared/client/runs.ts";
import { createTransport, MiraError } from "../../../../functions-shared/client/transport.ts";

const RUN = "11111111-1111-4111-8111-111111111111";
const person = {
  auth: {
    getSession: () =>
      Promise.resolve({ data: { session: { access_token: "jwt", user: { id: "ana" } } } }),
    onAuthStateChange: () => ({ data: { subscription: { unsubscribe() {} } } }),
  },
};

/** `run-workflow` as a list of answers, in the order they are asked for. */
function server(...answers: ((request: Request) => Response)[]) {
  const requests: Request[] = [];
  const send = ((input: RequestInfo | URL, init?: RequestInit) => {
    const request = new Request(input, init);
    requests.push(request);
    const answer = answers.shift();
    return answer
      ? Promise.resolve(answer(request))
      : Promise.reject(new TypeError("no more answers"));
  }) as typeof fetch;
  return {
    requests,
    runs: runs(createTransport(person, { url: "http://m", key: "k", fetch: send })),
  };
}

const stream = (...events: [id: string, event: string, data: unknown][]) => () =>
  new Response(
    events.map(([id, event, data]) =>
      `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
    ).join(""),
    { headers: { "content-type": "text/event-stream" } },
  );
const view = (status: string, more = {}) => () =>
  Response.json({ run_id: RUN, status, state: {}, ...more });
const begun: [string, string, unknown] = ["1", "run", { run_id: RUN }];
const ended: [string, string, unknown] = ["3", "end", { run_id: RUN, status: "completed" }];
const step: [string, string, unknown] = ["2", "step", { node: "a" }];

async function kinds(handle: AsyncIterable<{ event: string }>): Promise<string[]> {
  const seen: string[] = [];
  for await (const { event } of handle) seen.push(event);
  return seen;
}

Deno.test("a run is started once, followed to its end, and its result is the run itself", async () => {
  const { runs, requests } = server(stream(begun, step, ended), view("completed", { output: 7 }));
  const handle = runs.start({ workflow_id: RUN });
  assert.deepEqual(await kinds(handle), ["run", "step", "end"]);
  assert.equal(await handle.id, RUN);
  assert.equal((await handle.result).output, 7);
  assert.equal(requests[0]!.method, "POST");
  assert.equal(requests[0]!.headers.get("accept"), "text/event-stream");
  assert.match(requests[0]!.headers.get("idempotency-key")!, /^[0-9a-f-]{36}$/);
});

Deno.test("a stream that ends early is taken up after the last event, without a gap or a second start", async () => {
  const { runs, requests } = server(
    stream(begun, step),
    view("running"),
    stream(ended),
    view("completed"),
  );
  assert.deepEqual(await kinds(runs.start({ workflow_id: RUN })), ["run", "step", "end"]);
  assert.deepEqual(requests.map(({ method }) => method), ["POST", "GET", "GET", "GET"]);
  assert.equal(requests[2]!.headers.get("last-event-id"), "2");
});

Deno.test("a start whose answer was lost is repeated under the same key and goes on with the same run", async () => {
  const lost = () => {
    throw new TypeError("connection lost");
  };
  const { runs, requests } = server(lost, view("running"), stream(begun, ended), view("completed"));
  assert.deepEqual(await kinds(runs.start({ workflow_id: RUN })), ["run", "end"]);
  assert.equal(
    requests[0]!.headers.get("idempotency-key"),
    requests[1]!.headers.get("idempotency-key"),
  );
});

Deno.test("a refusal reaches whoever iterates, whoever awaits the result and whoever wants the id", async () => {
  const refusal = () =>
    Response.json({ code: "workflow_not_active", detail: "Not active." }, { status: 409 });
  const handle = server(refusal).runs.start({ workflow_id: RUN });
  const isRefusal = (error: unknown) =>
    error instanceof MiraError && error.code === "workflow_not_active";
  await assert.rejects(kinds(handle), isRefusal);
  await assert.rejects(handle.result, isRefusal);
  await assert.rejects(handle.id, isRefusal);
});

Deno.test("events survive any cut of the stream into pieces; comments and retry hints are no events", async () => {
  const text =
    'retry: 1000\n\n: keep-alive\n\nid: 1\nevent: log\ndata: {"text":"grün"}\n\ndata: [1,\ndata: 2]\n\ndata: "cut';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) {
          controller.enqueue(bytes.slice(at, at + size));
        }
        controller.close();
      },
    });
    const events = await Array.fromAsync(readEvents(new Response(body)));
    assert.deepEqual(events, [
      { id: "1", event: "log", data: { text: "grün" } },
      { id: undefined, event: "message", data: [1, 2] },
    ]);
  }
});
