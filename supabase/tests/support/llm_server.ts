/** A real OpenAI-compatible server on this machine that answers by script. */

/** One scripted answer, or what decides it from the request. */
export type ScriptedReply =
  /** With `hold` a stream stops after its first word until that is resolved. */
  | { text: string; finish?: string; delayMs?: number; hold?: Promise<unknown> }
  | { toolCalls: { name: string; arguments: unknown }[]; text?: string; delayMs?: number }
  /** An HTTP failure. */
  | { status: number; headers?: Record<string, string>; error?: Record<string, unknown> }
  /** A stream that stops in the middle of `text`, or a body as it is, JSON by its own account. */
  | { cut: string }
  | { garbage: string; type?: string };

/** What a client asked. */
export interface LlmRequest {
  headers: Headers;
  body: {
    model: string;
    stream?: boolean;
    max_tokens?: number;
    temperature?: number;
    messages: { role: string; content: string | null; tool_call_id?: string }[];
    tools?: { function: { name: string; parameters: unknown } }[];
    response_format?: { type: string };
  };
  at: number;
}

type Script = ScriptedReply | ((request: LlmRequest) => ScriptedReply);

/** Starts the server. Requests without a scripted answer get `otherwise`, or a 500. */
export function startLlmServer(otherwise?: Script) {
  const queue: Script[] = [];
  const requests: LlmRequest[] = [];
  const stop = new AbortController();
  const options = { port: 0, hostname: "127.0.0.1", onListen: () => {}, signal: stop.signal };
  const server = Deno.serve(options, async (raw) => {
    if (!new URL(raw.url).pathname.endsWith("/chat/completions")) return failure(404);
    const request: LlmRequest = {
      headers: new Headers(raw.headers),
      body: await raw.json(),
      at: Date.now(),
    };
    requests.push(request);
    const script = queue.shift() ?? otherwise;
    if (!script) return failure(500, {}, { message: "no answer is scripted" });
    const reply = typeof script === "function" ? script(request) : script;
    if ("delayMs" in reply && reply.delayMs) await pause(reply.delayMs, stop.signal);
    if ("status" in reply) return failure(reply.status, reply.headers, reply.error);
    if ("garbage" in reply) {
      const type = reply.type ?? "application/json";
      return new Response(reply.garbage, { headers: { "content-type": type } });
    }
    return request.body.stream ? streamed(request, reply) : whole(request, reply);
  });
  return {
    url: `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}/v1`,
    origin: `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}`,
    requests,
    /** Adds answers to the end of the script. */
    say: (...replies: Script[]) => void queue.push(...replies),
    /** Forgets requests and what was left of the script. */
    reset: () => {
      queue.length = 0;
      requests.length = 0;
    },
    // kept-alive connections are not waited for
    close: () => {
      stop.abort();
      return server.finished;
    },
  };
}

type Spoken = Extract<ScriptedReply, { text: string } | { toolCalls: unknown } | { cut: string }>;

/** Waits, at most until the server stops. */
function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener("abort", done, { once: true });
  });
}

/** Four characters a token, so that tests can foretell the count. */
export const tokensOf = (text: string) => Math.ceil(text.length / 4);

function usageOf(request: LlmRequest, text: string) {
  const prompt = tokensOf(JSON.stringify(request.body.messages));
  const completion = tokensOf(text);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
  };
}

function parts(reply: Spoken) {
  const content = "cut" in reply ? reply.cut : reply.text ?? "";
  const calls = "toolCalls" in reply
    ? reply.toolCalls.map(({ name, arguments: args }, i) => ({
      id: `call_${i}`,
      type: "function",
      function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) },
    }))
    : [];
  const finish = calls.length > 0 ? "tool_calls" : ("finish" in reply && reply.finish) || "stop";
  return { content, calls, finish };
}

function whole(request: LlmRequest, reply: Spoken): Response {
  const { content, calls, finish } = parts(reply);
  return Response.json({
    id: "chatcmpl-1",
    object: "chat.completion",
    model: request.body.model,
    choices: [{
      index: 0,
      finish_reason: finish,
      message: { role: "assistant", content, ...(calls.length ? { tool_calls: calls } : {}) },
    }],
    usage: usageOf(request, content + JSON.stringify(calls)),
  });
}

function streamed(request: LlmRequest, reply: Spoken): Response {
  const { content, calls, finish } = parts(reply);
  const chunk = (delta: unknown, finish_reason: string | null = null) => ({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    model: request.body.model,
    choices: [{ index: 0, delta, finish_reason }],
  });
  const chunks: unknown[] = [chunk({ role: "assistant", content: "" })];
  for (const word of content.match(/\S+\s*/g) ?? []) chunks.push(chunk({ content: word }));
  calls.forEach((call, index) => {
    const text = call.function.arguments;
    const half = Math.ceil(text.length / 2);
    chunks.push(chunk({
      tool_calls: [{
        index,
        id: call.id,
        type: "function",
        function: { name: call.function.name, arguments: text.slice(0, half) },
      }],
    }));
    chunks.push(chunk({ tool_calls: [{ index, function: { arguments: text.slice(half) } }] }));
  });
  if (!("cut" in reply)) {
    chunks.push(chunk({}, finish));
    const usage = usageOf(request, content + JSON.stringify(calls));
    chunks.push({ ...chunk({}), choices: [], usage });
  }
  const lines = chunks.map((one) => `data: ${JSON.stringify(one)}\n\n`);
  if (!("cut" in reply)) lines.push("data: [DONE]\n\n");
  const body = ReadableStream.from((async function* () {
    for (const [i, line] of lines.entries()) {
      if (i > 0 && i < 40) await new Promise((resolve) => setTimeout(resolve, 2));
      if (i === 2 && "hold" in reply) await reply.hold;
      yield new TextEncoder().encode(line);
    }
  })());
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

function failure(
  status: number,
  headers?: Record<string, string>,
  error?: Record<string, unknown>,
) {
  return Response.json({ error: error ?? { message: `scripted ${status}` } }, {
    status,
    ...(headers ? { headers } : {}),
  });
}
