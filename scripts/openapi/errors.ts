/** The error catalogue, read off the code: one line per code. */

/** One code a caller may see. */
export interface ErrorLine {
  code: string;
  status: string;
  detail: string;
  places: Set<string>;
}

const TYPESCRIPT =
  /new Problem\(\s*(\d{3}|[\w.]+),\s*"([a-z0-9_]+)",\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)?/g;
const SQL = /raise(?:\s+sqlstate\s+'PT(\d{3})'|\s+exception)\s+using([^;]*);/gi;

/** Every `new Problem(…)` and every `raise … PTxxx` below `root`, by code. */
export async function errorCatalogue(root: URL): Promise<ErrorLine[]> {
  const lines = new Map<string, ErrorLine>();
  const add = (code: string, status: string, detail: string, place: string) => {
    const line = lines.get(code) ?? { code, status, detail, places: new Set() };
    if (!line.status.split(", ").includes(status)) line.status += `, ${status}`;
    if (!line.detail) line.detail = detail;
    line.places.add(place);
    lines.set(code, line);
  };
  for await (const path of files(root, ["functions-shared", "supabase/functions"], ".ts")) {
    const text = await Deno.readTextFile(new URL(path, root));
    for (const [, status, code, plain, template] of text.matchAll(TYPESCRIPT)) {
      const detail = plain ?? template?.replace(/\$\{[^}]*\}/g, "…") ?? "";
      add(
        code!,
        /^\d/.test(status!) ? status! : "4xx",
        detail.replace(/\\(.)/g, "$1"),
        placeOf(path),
      );
    }
  }
  for await (const path of files(root, ["supabase/migrations"], ".sql")) {
    const text = await Deno.readTextFile(new URL(path, root));
    for (const [, given, using] of text.matchAll(SQL)) {
      const status = given ?? using!.match(/errcode\s*=\s*'PT(\d{3})'/i)?.[1];
      const [, name, isBegun] = using!.match(/message\s*=\s*'([a-z0-9_]+)'(\s*\|\|)?/i) ?? [];
      const code = isBegun ? `${name}…` : name;
      const detail = using!.match(/detail\s*=\s*'((?:[^']|'')*)'/i)?.[1]?.replaceAll("''", "'");
      if (status && code) add(code, status, detail ?? "", placeOf(path));
    }
  }
  return [...lines.values()].sort((a, b) => a.code < b.code ? -1 : 1);
}

/** The catalogue as Markdown. */
export function catalogueText(lines: ErrorLine[]): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  return [
    "# Errors",
    "",
    "Every code a caller may see in `code` of a problem document. Made by `deno task openapi` from the",
    "code; do not edit.",
    "",
    "| code | status | what it says | where |",
    "| --- | --- | --- | --- |",
    ...lines.map(({ code, status, detail, places }) =>
      `| \`${code}\` | ${status} | ${cell(detail)} | ${[...places].sort().join(", ")} |`
    ),
    "",
  ].join("\n");
}

function placeOf(path: string): string {
  const [top, ...rest] = path.split("/");
  if (top === "functions-shared") return rest[0]!;
  return rest[0] === "migrations" ? "sql " + rest[1]!.replace(/^\d+_|\.sql$/g, "") : rest[1]!;
}

async function* files(root: URL, folders: string[], ending: string): AsyncGenerator<string> {
  for (const folder of folders) {
    const entries = [];
    for await (const entry of Deno.readDir(new URL(`${folder}/`, root))) entries.push(entry);
    for (const entry of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) yield* files(root, [path], ending);
      else if (entry.name.endsWith(ending)) yield path;
    }
  }
}
