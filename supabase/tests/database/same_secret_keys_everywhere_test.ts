/** The functions redact before they log, the database before it stores: by the same names of keys. */

import assert from "node:assert/strict";
import { isSecretKey } from "../../../functions-shared/observe/redact.ts";
import { openTestDatabase } from "../support/test_database.ts";

const INNOCENT =
  "tokens,tokens_used,secretary,spin,compass,monkey,keyboard,pinned,author,order_number,numberOfPins";

Deno.test({
  name: "a key that names a secret is one in the functions and in the database alike",
  sanitizeResources: false,
  sanitizeOps: false,
}, async () => {
  const { db, close } = await openTestDatabase();
  try {
    const words = await db.query("select unnest(private.secret_key_words()) as word");
    const keys = [...words.flatMap(({ word }) => spellings(String(word))), ...INNOCENT.split(",")];
    const redacted = await db.query(
      `select key from jsonb_array_elements_text($1::text::jsonb) key
       where private.redact_json(jsonb_build_object(key, 's3')) ->> key = '[redacted]'`,
      [JSON.stringify(keys)],
    );
    const inSql = new Set(redacted.map(({ key }) => String(key)));
    assert.deepEqual(keys.filter(isSecretKey), keys.filter((key) => inSql.has(key)));
    assert.equal(inSql.size, new Set(keys).size - INNOCENT.split(",").length);
  } finally {
    await close();
  }
});

/** How people write a key that ends with this word, and begins with nothing or with another. */
function spellings(word: string): string[] {
  const plain = word.replace(/^_/, "");
  const camel = plain.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return [
    plain,
    plain.toUpperCase(),
    camel,
    `my_${plain}`,
    `my-${plain}`,
    `my.${plain}`,
    `my${camel}`,
  ]
    .flatMap((key) => [key, key.replaceAll("_", "-"), key.replaceAll("_", ".")]);
}
