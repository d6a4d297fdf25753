import assert from "node:assert/strict";

const ROOT = new URL("../../../", import.meta.url).pathname;
const server = Deno.env.get("MIRA_TEST_DB_URL");

/** Every area of `deno task bench`, as small as it goes. */
const AREAS: Record<string, string[]> = {
  access: ["--rows", "2000"],
  engine: ["--runs", "5", "--rounds", "1", "--engines", "mira,mira tools,mira http"],
  ingest: [],
  learn: [],
  recall: ["--rows", "2000"],
  record: ["--rows", "2000"],
  vault: [],
};

for (const [area, options] of Object.entries(AREAS)) {
  Deno.test({
    name: `the benchmark of ${area} runs to its end on a server and has figures to show`,
    ignore: server === undefined,
    fn: async () => {
      const file = await Deno.makeTempFile();
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "bench", area, "--db-url", server!, "--json", file, ...options],
        cwd: ROOT,
        stdout: "null",
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const rows: { metric: string; ours: number; ratio: number }[] = JSON.parse(
        await Deno.readTextFile(file),
      );
      await Deno.remove(file);
      assert.ok(rows.length > 0);
      for (const { metric, ours, ratio } of rows) {
        assert.ok(Number.isFinite(ours) && Number.isFinite(ratio), `${metric}: ${ours}, ${ratio}`);
      }
    },
  });
}
