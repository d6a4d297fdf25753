/** Serves a folder of static files: the console and the sample app. */

const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  svg: "image/svg+xml",
  png: "image/png",
  ico: "image/x-icon",
  txt: "text/plain; charset=utf-8",
  jsonl: "application/x-ndjson",
};

/** Answers `path` (after the mount point) from `root`; a folder answers its index.html. */
export async function serveStatic(root: URL, path: string): Promise<Response> {
  const relative = decodeURIComponent(path).replace(/^\/+/, "");
  const url = new URL(
    relative === "" || relative.endsWith("/") ? `${relative}index.html` : relative,
    root,
  );
  // a path that climbs out of the folder does not exist
  if (!url.href.startsWith(root.href)) return new Response("Not found", { status: 404 });
  try {
    const body = await Deno.readFile(url);
    const type = TYPES[url.pathname.split(".").pop() ?? ""] ?? "application/octet-stream";
    return new Response(body, { headers: { "content-type": type, "cache-control": "no-cache" } });
  } catch {
    return new Response("Not found", { status: 404 });
  }
}
