import assert from "node:assert/strict";
import { TrackBatch, TrackedEvent } from "../../../../functions-shared/contracts/track_event.ts";
import { inLargeBatches, recordedBatches } from "../../../../scripts/sample/replay.ts";

const NOW = new Date("2027-01-15T10:00:00Z");
const batches = await recordedBatches(NOW);
const events = batches.flatMap((batch) => batch.events);

Deno.test("every recorded event keeps the contract, and no value anybody typed is among them", () => {
  for (const event of events) TrackedEvent.parse(event);
  const text = JSON.stringify(events);
  for (const typed of ["Petra", "Vogel", "0171", "5550123", "Left a message", "Lindt"]) {
    assert.ok(!text.includes(typed), typed);
  }
});

Deno.test("a replay ends within the day before now, in the order of the recording", () => {
  const times = events.map((event) => Date.parse(event.occurred_at!));
  const newest = Math.max(...times);
  assert.ok(newest <= NOW.getTime() && newest > NOW.getTime() - 86_400_000);
  const weeks = (newest - Math.min(...times)) / (7 * 86_400_000);
  assert.ok(weeks > 4 && weeks < 5, String(weeks));
});

Deno.test("six people, thousands of events, and some sent twice as a client does", () => {
  assert.equal(new Set(batches.map((batch) => batch.user)).size, 6);
  const ids = new Set(events.map((event) => event.event_id));
  assert.ok(ids.size > 2000);
  assert.ok(ids.size < events.length);
});

Deno.test("large batches hold the same events, per person in order, within the contract", () => {
  const large = inLargeBatches(batches);
  for (const { events } of large) TrackBatch.parse({ events });
  assert.ok(large.length < 12);
  for (const user of new Set(batches.map((batch) => batch.user))) {
    const ids = (list: typeof batches) =>
      list.filter((batch) => batch.user === user).flatMap((batch) =>
        batch.events.map((e) => e.event_id)
      );
    assert.deepEqual(ids(large), ids(batches));
  }
});
