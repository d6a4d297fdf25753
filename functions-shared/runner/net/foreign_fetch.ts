/**
 * A fetch for addresses that users bring with their own model keys.
 *
 * @module
 */
import { openGuarded } from "./guarded_fetch.ts";

const MAX_BYTES = 4 * 1024 * 1024;

/**
 * A function in the shape of `fetch` that posts to paths below `base` and nowhere else, under all
 * rules of {@link openGuarded}. A streamed answer arrives as it is written.
 */
export function foreignFetch(base: string, trustedOrigins: string[]) {
  const { hostname, pathname } = new URL(base);
  return async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const reply = await openGuarded({
      url: input instanceof Request ? input.url : String(input),
      method: init.method ?? "GET",
      headers: Object.fromEntries(new Headers(init.headers)),
      ...(typeof init.body === "string" ? { body: init.body } : {}),
    }, {
      allow: [{ host: hostname, path_prefix: pathname, methods: ["POST"] }],
      trustedOrigins,
      timeoutMs: 120_000,
      maxBytes: MAX_BYTES,
      // a key goes to the address it was stored with, so not even a redirect is followed
      maxRedirects: 0,
      ...(init.signal ? { signal: init.signal } : {}),
    });
    return new Response(reply.body, { status: reply.status, headers: reply.headers });
  };
}
