import assert from "node:assert/strict";
import { openExchange, readWhole } from "../../../../functions-shared/runner/net/exchange.ts";
import { isGlobalAddress } from "../../../../functions-shared/runner/net/global_address.ts";
import {
  type Guard,
  guardedFetch,
  type GuardedRequest,
  GuardError,
} from "../../../../functions-shared/runner/net/guarded_fetch.ts";
import { foreignFetch } from "../../../../functions-shared/runner/net/foreign_fetch.ts";

/** A server nobody may reach by accident: it counts. */
function canary(
  handler: (request: Request) => Response | Promise<Response> = () => new Response("hit"),
) {
  const requests: { headers: Headers }[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    requests.push({ headers: new Headers(request.headers) });
    return handler(request);
  });
  const port = (server.addr as Deno.NetAddr).port;
  return { requests, port, origin: `http://127.0.0.1:${port}`, close: () => server.shutdown() };
}

const everything: Guard = {
  allow: ["*.example", "service.example", "127.0.0.1", "localhost", "[::1]", "0x7f000001"].map((
    host,
  ) => ({
    host,
    methods: ["GET", "POST"],
  })),
  lookUp: () => Promise.resolve(["127.0.0.1"]),
};

const refusal = async (request: GuardedRequest, guard: Guard) => {
  const error = await guardedFetch(request, guard).then(() => undefined, (e) => e);
  assert.ok(error instanceof GuardError, `${request.url}: ${error}`);
  return error.code;
};

Deno.test("addresses that are not on the public internet are told apart", () => {
  const inside = `0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1
    172.31.255.255 192.0.0.8 192.0.2.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9
    224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::7f00:1 64:ff9b::7f00:1
    fc00::1 fd12:3456::1 fe80::1 ff02::1 2001:db8::1 2001:0:4136::1 2002:7f00:1:: 100::1 fec0::1
    3fff::1 1.2.3 1.2.3.4.5 1.2.3.256 not-an-address 1::2::3 12345::1`.split(/\s+/);
  for (const address of inside) assert.equal(isGlobalAddress(address), false, address);
  const outside =
    `1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1
    192.0.1.1 198.17.255.255 198.20.0.0 223.255.255.255 2606:4700:4700::1111 2a00:1450::1
    2001:4860:4860::8888`.split(/\s+/);
  for (const address of outside) assert.equal(isGlobalAddress(address), true, address);
});

Deno.test("hostile addresses never reach the canary", async () => {
  const trap = canary();
  const port = trap.port;
  const urls = [
    `http://127.0.0.1:${port}/`,
    `https://127.0.0.1:${port}/`,
    `https://127.0.0.1/`,
    `https://127.1/`,
    `https://2130706433/`,
    `https://0x7f000001/`,
    `https://0177.0.0.1/`,
    `https://[::1]/`,
    `https://[::ffff:127.0.0.1]/`,
    `https://localhost:${port}/`,
    `https://localhost/`,
    `https://user:pass@service.example/`,
    `https://service.example@127.0.0.1:${port}/`,
    `https://service.example:${port}/`,
    `https://service.example/`, // its name leads to 127.0.0.1
    `https://service.example./`,
    `https://other.test/`,
    `http://service.example/`,
    `file:///etc/passwd`,
    `ftp://service.example/`,
    `gopher://127.0.0.1:${port}/_GET`,
    `data:text/plain,hello`,
    `javascript:alert(1)`,
    `//service.example/`,
    `not a url`,
    ``,
    `https://service.example/a%2f..%2fadmin`,
    `https://service.example/%2e%2e/admin`,
    `https://ⓛocalhost/`,
    `https://127。0。0。1/`,
    `https://service.example#@127.0.0.1:${port}/`,
    `https://service.example\\@127.0.0.1:${port}/`,
  ];
  try {
    for (const url of urls) {
      const code = await refusal({ url }, everything);
      assert.ok(
        ["url_refused", "host_not_allowed", "address_refused"].includes(code),
        `${url} ${code}`,
      );
    }
    assert.equal(trap.requests.length, 0);
  } finally {
    await trap.close();
  }
});

Deno.test("one private address among public ones refuses the host", async () => {
  const lookUp = () => Promise.resolve(["1.1.1.1", "10.0.0.1"]);
  assert.equal(
    await refusal({ url: "https://service.example/" }, { ...everything, lookUp }),
    "address_refused",
  );
  assert.equal(
    await refusal({ url: "https://service.example/" }, {
      ...everything,
      lookUp: () => Promise.resolve([]),
    }),
    "host_not_found",
  );
});

Deno.test("the connection goes to the address that was checked, whatever the name leads to later", async () => {
  const server = canary((request) => new Response(request.headers.get("host")));
  try {
    // nobody can look this name up, so only the address can have led here
    const open = await openExchange({
      method: "GET",
      url: new URL(`http://rebind.invalid:${server.port}/`),
      address: "127.0.0.1",
      headers: new Headers(),
      maxBytes: 1000,
      signal: AbortSignal.timeout(2000),
    });
    const reply = await readWhole(open);
    assert.equal(new TextDecoder().decode(reply.body), `rebind.invalid:${server.port}`);
  } finally {
    await server.close();
  }
});

/** A server the operator trusts, and a guard that lets requests through to it. */
function trusted(handler: (request: Request) => Response | Promise<Response>) {
  const server = canary(handler);
  const guard: Guard = {
    allow: [{ host: "127.0.0.1", path_prefix: "/api", methods: ["GET", "POST"] }],
    trustedOrigins: [server.origin],
  };
  return { ...server, guard };
}

Deno.test("a declared request goes through, whole and with nothing added", async () => {
  const server = trusted(async (request) =>
    Response.json({ got: await request.text(), at: new URL(request.url).search })
  );
  try {
    const reply = await guardedFetch({
      url: `${server.origin}/api/items?q=ä`,
      method: "POST",
      body: "höllo",
      headers: { "x-one": "1" },
    }, server.guard);
    assert.deepEqual(JSON.parse(new TextDecoder().decode(reply.body)), {
      got: "höllo",
      at: "?q=%C3%A4",
    });
    const { headers } = server.requests[0]!;
    assert.equal(headers.get("x-one"), "1");
    assert.equal(headers.get("authorization"), null);
    assert.equal(headers.get("cookie"), null);
  } finally {
    await server.close();
  }
});

Deno.test("rules hold for host, path at a segment border and method", async () => {
  const server = trusted(() => new Response("ok"));
  try {
    for (
      const [path, method] of [["/", "GET"], ["/apiary", "GET"], ["/api/../admin", "GET"], [
        "/api",
        "DELETE",
      ]] as const
    ) {
      const code = await refusal({ url: server.origin + path, method }, server.guard);
      assert.equal(code, "host_not_allowed", path);
    }
    assert.equal(
      await refusal({ url: `${server.origin}/api`, method: "GE T" }, server.guard),
      "url_refused",
    );
    assert.equal((await guardedFetch({ url: `${server.origin}/api` }, server.guard)).status, 200);
    assert.equal(server.requests.length, 1);
  } finally {
    await server.close();
  }
});

Deno.test("every redirect is checked like the first address, and secrets stay at home", async () => {
  const trap = canary();
  const targets: Record<string, string> = {
    "/api/inside": `${trap.origin}/`,
    "/api/metadata": "http://169.254.169.254/latest/meta-data",
    "/api/file": "file:///etc/passwd",
    "/api/loop": "/api/loop",
    "/api/admin": "/admin",
  };
  const elsewhere = trusted(() => new Response("elsewhere"));
  targets["/api/elsewhere"] = `${elsewhere.origin}/api`;
  const server = trusted((request) => {
    const location = targets[new URL(request.url).pathname];
    return location
      ? new Response(null, { status: 302, headers: { location } })
      : new Response("end");
  });
  const guard: Guard = {
    ...server.guard,
    trustedOrigins: [server.origin, elsewhere.origin],
    secretHeaders: { authorization: "Bearer canary-secret" },
  };
  try {
    for (const path of ["inside", "metadata", "file", "admin"]) {
      const code = await refusal({ url: `${server.origin}/api/${path}` }, guard);
      assert.ok(["url_refused", "host_not_allowed"].includes(code), `${path} ${code}`);
    }
    assert.equal(await refusal({ url: `${server.origin}/api/loop` }, guard), "too_many_redirects");
    assert.equal(trap.requests.length, 0);
    await guardedFetch({ url: `${server.origin}/api/elsewhere` }, guard);
    assert.equal(server.requests.at(-1)!.headers.get("authorization"), "Bearer canary-secret");
    assert.equal(elsewhere.requests[0]!.headers.get("authorization"), null);
  } finally {
    await Promise.all([trap.close(), elsewhere.close(), server.close()]);
  }
});

Deno.test("a POST that is redirected does not post again elsewhere", async () => {
  const server = trusted((request) =>
    new URL(request.url).pathname === "/api/post"
      ? new Response(null, { status: 302, headers: { location: "/api/get" } })
      : new Response(request.method)
  );
  try {
    const reply = await guardedFetch(
      { url: `${server.origin}/api/post`, method: "POST", body: "x" },
      server.guard,
    );
    assert.equal(new TextDecoder().decode(reply.body), "GET");
  } finally {
    await server.close();
  }
});

/** Answers every connection with these bytes, or drips them. */
function rawServer(write: (connection: Deno.Conn) => Promise<void>) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const writing: Promise<void>[] = [];
  const close = (connection: Deno.Conn) => {
    if (open.delete(connection)) connection.close();
  };
  const serving = (async () => {
    for await (const connection of listener) {
      open.add(connection);
      writing.push(
        connection.read(new Uint8Array(4096)).then(() => write(connection))
          .catch(() => {}).finally(() => close(connection)),
      );
    }
  })();
  const origin = `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  return {
    origin,
    guard: { allow: [{ host: "127.0.0.1" }], trustedOrigins: [origin] } as Guard,
    close: async () => {
      listener.close();
      open.forEach(close);
      await Promise.all([serving.catch(() => {}), ...writing]);
    },
  };
}
const bytes = (text: string) => new TextEncoder().encode(text);
const writeAll = async (connection: Deno.Conn, data: Uint8Array) => {
  for (let at = 0; at < data.byteLength;) at += await connection.write(data.subarray(at));
};

Deno.test("answers too long, compressed, malformed or dripping are cut off", async () => {
  const cases: [string, string, (connection: Deno.Conn) => Promise<void>][] = [
    [
      "declared too long",
      "response_too_large",
      (c) => writeAll(c, bytes("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n")),
    ],
    ["too long without length", "response_too_large", async (c) => {
      await writeAll(c, bytes("HTTP/1.1 200 OK\r\n\r\n"));
      for (;;) await writeAll(c, new Uint8Array(65536));
    }],
    ["endless chunks", "response_too_large", async (c) => {
      await writeAll(c, bytes("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"));
      for (;;) await writeAll(c, bytes(`8000\r\n${"x".repeat(0x8000)}\r\n`));
    }],
    [
      "a bomb",
      "response_invalid",
      (c) =>
        writeAll(
          c,
          bytes("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b"),
        ),
    ],
    ["endless head", "response_invalid", async (c) => {
      await writeAll(c, bytes("HTTP/1.1 200 OK\r\nx: "));
      for (;;) await writeAll(c, bytes("x".repeat(4096)));
    }],
    ["no HTTP", "response_invalid", (c) => writeAll(c, bytes("SSH-2.0-OpenSSH\r\n\r\n"))],
    [
      "cut off",
      "response_invalid",
      (c) => writeAll(c, bytes("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")),
    ],
    ["a drip", "request_timed_out", async (c) => {
      await writeAll(c, bytes("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"));
      for (;;) {
        await writeAll(c, bytes("x"));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }],
  ];
  for (const [name, code, write] of cases) {
    const server = rawServer(write);
    const guard = { ...server.guard, timeoutMs: 600, maxBytes: 100_000 };
    const started = performance.now();
    try {
      assert.equal(await refusal({ url: `${server.origin}/` }, guard), code, name);
      assert.ok(performance.now() - started < 2500, `${name} took too long`);
    } finally {
      await server.close();
    }
  }
});

Deno.test("chunked and unframed answers are read whole", async () => {
  for (
    const answer of [
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\n\r\nhello world",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world",
    ]
  ) {
    const server = rawServer((c) => writeAll(c, bytes(answer)));
    try {
      const reply = await guardedFetch({ url: `${server.origin}/` }, server.guard);
      assert.equal(new TextDecoder().decode(reply.body), "hello world");
    } finally {
      await server.close();
    }
  }
});

Deno.test("a header cannot smuggle in another request", async () => {
  const server = trusted(() => new Response("ok"));
  try {
    await assert.rejects(
      guardedFetch(
        { url: `${server.origin}/api`, headers: { "x-a": "1\r\nhost: evil" } },
        server.guard,
      ),
    );
    assert.equal(server.requests.length, 0);
  } finally {
    await server.close();
  }
});

Deno.test("a user's own model address is guarded too", async () => {
  const trap = canary();
  try {
    const get = foreignFetch(`${trap.origin}/v1`, []);
    await assert.rejects(get(`${trap.origin}/v1/chat/completions`, { method: "POST" }), {
      code: "url_refused",
    });
    const wired = foreignFetch(`${trap.origin}/v1`, [trap.origin]);
    await assert.rejects(wired(`${trap.origin}/admin`, { method: "POST" }), {
      code: "host_not_allowed",
    });
    assert.equal(trap.requests.length, 0);
    const reply = await wired(`${trap.origin}/v1/chat/completions`, { method: "POST", body: "{}" });
    assert.equal(await reply.text(), "hit");
  } finally {
    await trap.close();
  }
});
