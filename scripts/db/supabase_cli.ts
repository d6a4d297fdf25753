/** The version of the Supabase CLI that types and advice are taken from. */
const CLI = "supabase@3.1.0";

/**
 * Runs the Supabase CLI, through npm's npx, and returns what it prints.
 * @throws with what it said when it fails.
 */
export async function supabaseCli(args: string[]): Promise<string> {
  const command = new Deno.Command("npx", {
    args: ["--yes", CLI, ...args],
    cwd: new URL("../../", import.meta.url),
    env: { SUPABASE_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" },
    stdin: "null",
  });
  const { code, stdout, stderr } = await command.output().catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error("This needs npx (it comes with Node), to run the Supabase CLI.");
  });
  const text = new TextDecoder();
  if (code !== 0) {
    const said = text.decode(stderr) + text.decode(stdout);
    throw new Error(`supabase ${args.slice(0, 2).join(" ")} failed:\n${said}`);
  }
  return text.decode(stdout);
}
