import type { TrackedEvent } from "../../functions-shared/contracts/track_event.ts";

const LOG = new URL("./data/events.jsonl", import.meta.url);
const DAY_MS = 86_400_000;

/** One request of the recording, ready to be sent again as a track-event body. */
export interface RecordedBatch {
  /** First name of the simulated person; sign one user up for each. */
  user: string;
  events: TrackedEvent[];
}

/**
 * The sample event log, request by request in the order it was recorded, moved by whole days so
 * that it ends within the day before `now`. Whole days keep weekdays apart by what they were and
 * hours what they are.
 *
 * There is no `sent_at`: these are backfills, and the server must not take their age for a clock
 * that is wrong. About one event in twenty comes twice, as it did in the recording.
 */
export async function recordedBatches(now: Date): Promise<RecordedBatch[]> {
  const lines = (await Deno.readTextFile(LOG)).trimEnd().split("\n");
  const batches = lines.map((line) => JSON.parse(line) as RecordedBatch);
  const newest = Math.max(...batches.flatMap((batch) => batch.events.map(timeOf)));
  const shift = Math.floor((now.getTime() - newest) / DAY_MS) * DAY_MS;
  return batches.map(({ user, events }) => ({
    user,
    events: events.map((event) => ({
      ...event,
      occurred_at: new Date(timeOf(event) + shift).toISOString(),
    })),
  }));
}

/** The same events as few large requests as the contract allows: how a backfill would send them. */
export function inLargeBatches(batches: RecordedBatch[], most = 500): RecordedBatch[] {
  const large: RecordedBatch[] = [];
  const open = new Map<string, RecordedBatch>();
  for (const { user, events } of batches) {
    for (const event of events) {
      let batch = open.get(user);
      if (!batch || batch.events.length >= most) {
        batch = { user, events: [] };
        open.set(user, batch);
        large.push(batch);
      }
      batch.events.push(event);
    }
  }
  return large;
}

function timeOf(event: TrackedEvent): number {
  return Date.parse(event.occurred_at!);
}
