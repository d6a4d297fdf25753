import { deepEqual, equal, ok } from "node:assert/strict";
import { createLog } from "../../../../functions-shared/observe/log.ts";
import {
  isSecretKey,
  redact,
  REDACTED,
  redactText,
} from "../../../../functions-shared/observe/redact.ts";

const SECRETS = [
  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
  "sk-abcdefghijklmnop1234",
  "sk-proj-AAAAAAAAAAAAAAAAAAAA",
  "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
  "github_pat_11ABCDEFG0abcdefghijkl",
  "ya29.a0AfH6SMBxxxxxxxxxxxx",
  "AKIAIOSFODNN7EXAMPLE",
  "xoxb-123456789012-abcdef",
  "sb_secret_abcdefghijk",
  "sk_live_abcdefghijklmnop",
  "Bearer abcdefghijklmnopqrstuvwxyz",
  "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
];

Deno.test("every known shape of secret is removed from running text", () => {
  for (const secret of SECRETS) {
    const out = redactText(`before ${secret} after`);
    ok(out.includes(REDACTED) && !out.includes(secret.slice(7)), `${secret} → ${out}`);
    ok(out.startsWith("before ") && out.endsWith(" after"), out);
  }
});

Deno.test("passwords in URLs go, hosts stay", () => {
  equal(redactText("postgres://me:pw12@db.example/x"), `postgres://${REDACTED}@db.example/x`);
});

Deno.test("card numbers go by checksum; other long numbers stay", () => {
  equal(redactText("5555-5555-5555-4444"), REDACTED);
  equal(redactText("order 1234567890123"), "order 1234567890123");
  equal(redact({ n: 378282246310005 }).n as unknown, REDACTED);
});

Deno.test("keys that name a secret lose their value, keys that only look alike keep it", () => {
  for (
    const key of [
      "password",
      "apiKey",
      "api_key",
      "access_token",
      "Authorization",
      "client-secret",
      "refreshToken",
      "cvv",
      "userPin",
      "creditCardNumber",
    ]
  ) {
    ok(isSecretKey(key), key);
  }
  for (
    const key of [
      "tokens_used",
      "secretary",
      "passenger",
      "keyboard",
      "pinned",
      "spin",
      "compass",
      "author",
      "total_tokens",
    ]
  ) {
    ok(!isSecretKey(key), key);
  }
  deepEqual(redact({ token: "x", list: [{ password: 7, ok: true }] }), {
    token: REDACTED,
    list: [{ password: REDACTED, ok: true }],
  });
});

Deno.test("hostile text of 40 kB does not stall the expressions", () => {
  const started = performance.now();
  for (
    const bait of [
      "eyJ" + "a".repeat(40_000),
      "1 ".repeat(20_000),
      "-----BEGIN " + "A ".repeat(20_000),
      "a://" + "b:".repeat(20_000),
      "a".repeat(40_000),
    ]
  ) {
    redactText(bait);
    isSecretKey(bait);
  }
  ok(performance.now() - started < 1000);
});

Deno.test("a log line is one JSON object, redacted and at most 4 KiB", () => {
  const lines: string[] = [];
  const original = console.log;
  console.log = (line: string) => lines.push(line);
  try {
    const log = createLog({ function: "f" });
    log.info("x", { password: "canary", note: SECRETS[1] });
    log.info("long", { text: "y".repeat(20_000) });
  } finally {
    console.log = original;
  }
  ok(!lines[0]!.includes("canary") && !lines[0]!.includes("sk-abc"));
  equal(JSON.parse(lines[0]!).event, "x");
  ok(lines[1]!.length <= 4096 && JSON.parse(lines[1]!).function === "f");
});
