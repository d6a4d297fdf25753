/**
 * The scheduler of a stack without pg_cron. It reads the very table from which the platform
 * migration makes pg_cron jobs, and calls what they would call.
 */

import { Cron } from "croner";
import type { SqlExecutor } from "../db/executor.ts";

/** A row of private.scheduled_jobs. */
interface Job {
  name: string;
  /** Five-field cron expression, or "<n> seconds" as pg_cron also takes. */
  schedule: string;
  /** Path under /functions/v1, or null when `command` is SQL. */
  path: string | null;
  command: string | null;
}

/** What the scheduler needs of its stack. */
export interface CronTarget {
  sql: SqlExecutor;
  apiUrl: string;
  cronKey: string;
  onError: (job: string, message: string) => void;
}

/** Starts every job of the table; returns what stops them. */
export async function startCron(target: CronTarget): Promise<() => void> {
  const jobs = await target.sql.query(
    "select name, schedule, path, command from private.scheduled_jobs where is_enabled order by name",
  ) as unknown as Job[];
  const running = jobs.map((job) => {
    const seconds = /^(\d+) seconds$/.exec(job.schedule)?.[1];
    const pattern = seconds ? "* * * * * *" : job.schedule;
    return new Cron(pattern, {
      protect: true, // a run that takes longer than its interval is not started twice
      unref: true,
      timezone: "UTC",
      ...(seconds ? { interval: Number(seconds) } : {}),
      catch: (error) => target.onError(job.name, (error as Error).message),
    }, () => runJob(job, target));
  });
  return () => running.forEach((cron) => cron.stop());
}

async function runJob(job: Job, target: CronTarget): Promise<void> {
  if (job.command !== null) {
    await target.sql.query(job.command);
    return;
  }
  const response = await fetch(`${target.apiUrl}/functions/v1${job.path}`, {
    method: "POST",
    headers: { apikey: target.cronKey, "content-type": "application/json" },
    body: "{}",
  });
  if (!response.ok) throw new Error(`${job.path} answered ${response.status}`);
  await response.body?.cancel();
}
