/** The schedule on a real pg_cron: made by migrate, run by the clock, taken away by rollback. */

import assert from "node:assert/strict";
import { attach } from "./bare_database.ts";
import { cronInstallation, startCronServer } from "./cron_server.ts";

const installation = await cronInstallation(Deno.env.get("MIRA_TEST_DB_URL"));
const NAME = "rollback takes Mira's jobs off pg_cron's schedule and leaves everybody else's";

Deno.test({
  name: installation ? NAME : `${NAME} (skipped: no local server that has pg_cron)`,
  ignore: installation === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  const server = await startCronServer(installation!);
  const { sql, task, close } = attach(server.url);
  const jobs = async (): Promise<string[]> =>
    (await sql("select jobname from cron.job")).map((row) => row.jobname).sort();
  try {
    await sql("create extension pg_cron");
    await sql("select cron.schedule('report', '0 6 * * *', 'select 1')");
    await sql("select cron.schedule('mira-like', '0 6 * * *', 'select 2')");
    await sql(
      "select cron.schedule_in_database('mira-next-door', '0 6 * * *', 'select private.run_retention()', 'postgres')",
    );
    const others = ["mira-like", "mira-next-door", "report"];

    const migrated = await task("migrate", "--bootstrap");
    assert.equal(migrated.code, 0, migrated.said);
    const wanted = (await sql("select name from private.scheduled_jobs")).map((row) => row.name);
    assert.deepEqual(await jobs(), [...wanted, ...others].sort());

    // one renamed, one given up, one more often; and the whole list installed once more
    await sql("update private.scheduled_jobs set name = 'mira-tidy' where name = 'mira-recall'");
    await sql("delete from private.scheduled_jobs where name = 'mira-runs'");
    await sql(
      "update private.scheduled_jobs set schedule = '1 seconds' where name = 'mira-retention'",
    );
    await sql("select * from private.install_schedule()");
    const left = wanted.filter((name) => name !== "mira-recall" && name !== "mira-runs");
    assert.deepEqual(await jobs(), [...left, "mira-tidy", ...others].sort());

    const deadline = Date.now() + 20_000;
    for (let ran = false; !ran;) {
      assert.ok(Date.now() < deadline, "the clock ran no job");
      await new Promise((resolve) => setTimeout(resolve, 250));
      const [row] = await sql(
        `select exists (select from cron.job_run_details where status = 'succeeded'
           and command = 'select private.run_retention()') as ran`,
      );
      ran = row.ran;
    }

    const rolledBack = await task("rollback", "--yes");
    assert.equal(rolledBack.code, 0, rolledBack.said);
    assert.deepEqual(await jobs(), others);
  } finally {
    await close();
    await server.close();
  }
});
