import { npmTool } from "../check/npm_tool.ts";

/** The version of the Supabase CLI that types and advice are taken from. */
const VERSION = "3.1.0";

/**
 * Runs the Supabase CLI in the project's folder and returns what it prints.
 * @throws with what it said when it fails.
 */
export async function supabaseCli(args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(await npmTool("supabase", VERSION), {
    args,
    cwd: new URL("../../", import.meta.url),
    env: { SUPABASE_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  if (code !== 0) {
    const said = text.decode(stderr) + text.decode(stdout);
    throw new Error(`supabase ${args.slice(0, 2).join(" ")} failed:\n${said}`);
  }
  return text.decode(stdout);
}
