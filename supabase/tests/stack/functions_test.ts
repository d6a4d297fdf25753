import assert from "node:assert/strict";
import { hostFunctions } from "../../../scripts/stack/functions.ts";

const FRAGILE = `data:text/javascript,
  const born = crypto.randomUUID();
  export default { fetch(request) {
    if (request.url.endsWith("/die")) setTimeout(() => { throw new Error("nobody caught this"); });
    return new Response(born);
  } };`;

Deno.test("functions that died of an error nobody caught answer again", async () => {
  const died = Promise.withResolvers<string>();
  const host = await hostFunctions({}, {
    functions: { fragile: FRAGILE },
    onDeath: died.resolve,
  });
  const ask = async (path: string) =>
    await (await fetch(`${await host.origin()}/fragile${path}`)).text();
  try {
    const first = await ask("/");
    await ask("/die").catch(() => {});
    assert.match(await died.promise, /nobody caught this/);
    const second = await ask("/");
    assert.match(second, /^[0-9a-f-]{36}$/);
    assert.notEqual(second, first, "a new isolate answers");
  } finally {
    host.close();
  }
});
