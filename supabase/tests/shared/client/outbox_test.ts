import assert from "node:assert/strict";
import type { TrackedEvent } from "../../../../functions-shared/contracts/track_event.ts";
import { Outbox } from "../../../../functions-shared/client/outbox.ts";
import { memoryStorage } from "../../../../functions-shared/client/storage.ts";

const T0 = Date.UTC(2026, 5, 1);
const event = (n: number, at = T0 + n): TrackedEvent => ({
  event_id: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
  session_id: "00000000-0000-4000-8000-000000000000",
  event_type: "click",
  module: "leads",
  page: "/leads",
  payload: {},
  occurred_at: new Date(at).toISOString(),
});
const ids = (entries: { event: TrackedEvent }[]) =>
  entries.map(({ event }) => Number(event.event_id.slice(-12)));

Deno.test("events come out in the order they happened, and stay until their receipt", () => {
  const outbox = new Outbox(memoryStorage(), 100);
  for (const n of [1, 2, 3]) outbox.add("ana", event(n), T0 + n);
  const first = outbox.take("ana", T0, 2);
  assert.deepEqual(ids(first), [1, 2]);
  assert.deepEqual(ids(outbox.take("ana", T0, 9)), [1, 2, 3]);
  outbox.remove(first.map((entry) => entry.key));
  assert.deepEqual(ids(outbox.take("ana", T0, 9)), [3]);
});

Deno.test("what one page left behind is there for the next, and for its own person only", () => {
  const storage = memoryStorage();
  new Outbox(storage, 100).add("ana", event(1), T0);
  const next = new Outbox(storage, 100);
  assert.deepEqual(ids(next.take("ana", T0, 9)), [1]);
  assert.deepEqual(next.take("ben", T0, 9), []);
});

Deno.test("a held event leaves only after its release, with what was learned meanwhile", () => {
  const outbox = new Outbox(memoryStorage(), 100);
  const entry = outbox.add("ana", event(1), T0, true);
  assert.deepEqual(outbox.take("ana", T0, 9), []);
  entry.event.payload!["dead"] = true;
  outbox.release(entry);
  outbox.release(entry);
  const [out] = outbox.take("ana", T0, 9);
  assert.deepEqual(out?.event.payload, { dead: true });
  assert.equal(outbox.size("ana"), 1);
});

Deno.test("an event whose page died while it was held is adopted after ten seconds", () => {
  const storage = memoryStorage();
  new Outbox(storage, 100).add("ana", event(1), T0, true);
  const next = new Outbox(storage, 100);
  next.adopt("ana", T0 + 9_000);
  assert.deepEqual(next.take("ana", T0, 9), []);
  next.adopt("ana", T0 + 11_000);
  assert.deepEqual(ids(next.take("ana", T0, 9)), [1]);
});

Deno.test("the oldest events go first when the queue is full, and are counted", () => {
  const outbox = new Outbox(memoryStorage(), 5);
  for (let n = 0; n < 8; n++) outbox.add("ana", event(n), T0 + n);
  assert.deepEqual(ids(outbox.take("ana", T0, 99)), [3, 4, 5, 6, 7]);
  assert.equal(outbox.dropped, 3);
});

Deno.test("events older than a week are not sent any more", () => {
  const outbox = new Outbox(memoryStorage(), 100);
  outbox.add("ana", event(1), T0);
  outbox.add("ana", event(2, T0 + 8 * 86_400_000), T0 + 8 * 86_400_000);
  assert.deepEqual(ids(outbox.take("ana", T0 + 8 * 86_400_000, 9)), [2]);
  assert.equal(outbox.dropped, 1);
});

Deno.test("a full localStorage costs persistence, not events", () => {
  const storage = memoryStorage();
  storage.setItem = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  const outbox = new Outbox(storage, 100);
  outbox.add("ana", event(1), T0);
  assert.deepEqual(ids(outbox.take("ana", T0, 9)), [1]);
});

Deno.test("a batch stays within its bytes but never empty", () => {
  const outbox = new Outbox(memoryStorage(), 100);
  for (let n = 0; n < 10; n++) outbox.add("ana", event(n), T0 + n);
  const one = JSON.stringify(event(1)).length + 1;
  assert.equal(outbox.take("ana", T0, 99, one * 4 + 10).length, 4);
  assert.equal(outbox.take("ana", T0, 99, 10).length, 1);
});

Deno.test("an entry that is not an event any more is thrown away", () => {
  const storage = memoryStorage();
  storage.setItem("mira.e.ana.000000000", "{broken");
  const outbox = new Outbox(storage, 100);
  assert.deepEqual(outbox.take("ana", T0, 9), []);
  assert.equal(storage.length, 0);
});
