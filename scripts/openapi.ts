/**
 * `deno task openapi`: writes the API as OpenAPI 3.1 and the error catalogue, both beside the
 * contracts they are made from. `--check` fails when either is out of step.
 */
import { catalogueText, errorCatalogue } from "./openapi/errors.ts";
import { openApiDocument } from "./openapi/document.ts";

const ROOT = new URL("../", import.meta.url);
const isCheck = Deno.args.includes("--check");
let isStale = false;

const made = {
  "functions-shared/contracts/openapi.gen.json": JSON.stringify(openApiDocument(), null, 2) + "\n",
  "functions-shared/contracts/errors.gen.md": catalogueText(await errorCatalogue(ROOT)),
};
for (const [path, text] of Object.entries(made)) {
  const file = new URL(path, ROOT);
  if (await Deno.readTextFile(file).catch(() => "") === text) continue;
  if (isCheck) {
    isStale = true;
    console.error(`${path} is out of step: run \`deno task openapi\`.`);
  } else {
    await Deno.writeTextFile(file, text);
    console.log(`${path} written`);
  }
}
if (isStale) Deno.exit(1);
