import { afterEach, expect, test } from "bun:test";
import { createRandom } from "../../base/random.ts";
import { createPost, type Outcome, type Post, type RequestBatch } from "../../sdk/src/request.ts";
import { type IngestStub, type StubAnswer, startIngestStub } from "../../testing/ingest-stub.ts";
import { createDelivery, pause } from "./delivery.ts";

const stubs: IngestStub[] = [];
afterEach(async () => {
  for (const stub of stubs.splice(0)) await stub.stop();
});

async function stub(script: readonly StubAnswer[]): Promise<IngestStub> {
  const started = await startIngestStub(script);
  stubs.push(started);
  return started;
}

function batch(key: string, eventCount = 2): RequestBatch {
  const events = Array.from({ length: eventCount }, (_, index) => ({
    device_id: key,
    event_type: "t",
    value_float: index,
  }));
  return { idempotencyKey: key, body: JSON.stringify({ events }), eventCount };
}
const postTo = (url: string, key = "") => createPost({ url, key, timeoutMs: 10_000, now: () => 0 });

/** Pauses that are over at once, and what they should have lasted. */
function recordedPauses() {
  const pausesMs: number[] = [];
  return { pausesMs, pause: async (ms: number) => void pausesMs.push(ms) };
}

/** A `post` whose answers the test gives, one by one. */
function manualPost() {
  const asked: { batch: RequestBatch; answer: (outcome: Outcome) => void }[] = [];
  const post: Post = (sent) => new Promise((answer) => asked.push({ batch: sent, answer }));
  return { asked, post };
}

const acknowledgedOutcome: Outcome = { kind: "acknowledged", refused: 0, faults: [] };
const unreachable: Outcome = { kind: "unreachable", message: "gone" };
/** Lets everything that is ready run. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test("refused, dropped and lost answers are sent again until acknowledged, and everything is stored once", async () => {
  const seed = 7;
  const random = createRandom(seed);
  const faults: StubAnswer[] = ["drop", "lose", { status: 503 }, { status: 429, headers: { "Retry-After": "1" } }];
  const script = Array.from({ length: 200 }, () => (random() < 0.5 ? "accept" : faults[Math.floor(random() * 4)]!));
  const service = await stub(script);
  const pauses = recordedPauses();
  const acknowledged: string[] = [];
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const delivery = createDelivery<RequestBatch>(
    {
      post: postTo(service.url),
      pause: pauses.pause,
      random,
      onAcknowledged(done) {
        acknowledged.push(done.idempotencyKey);
        if (acknowledged.length === 60) finish();
      },
    },
    { maxInFlight: 5, maxWaitingEvents: 1_000 },
  );
  for (let index = 0; index < 60; index++) delivery.offer(batch(`batch-${index}`));
  await finished;
  expect(new Set(acknowledged).size).toBe(60);
  expect(service.events()).toHaveLength(120);
  const { counts } = delivery;
  expect(counts).toMatchObject({ offered: 120, acknowledged: 120, pending: 0, dropped: 0, rejected: 0 });
  expect(counts.refusedRequests).toBeGreaterThan(0);
  expect(counts.unreachableRequests).toBeGreaterThan(0);
  expect(pauses.pausesMs).toHaveLength(counts.refusedRequests + counts.unreachableRequests);
});

test("a device's batches arrive in order, one request at a time, over a service that comes and goes", async () => {
  const { asked, post } = manualPost();
  const delivery = createDelivery<RequestBatch>(
    { post, pause: recordedPauses().pause, random: Math.random },
    { maxInFlight: 1, maxWaitingEvents: 100 },
  );
  for (const key of ["a", "b", "c"]) delivery.offer(batch(key));
  const order: string[] = [];
  for (const outcome of [
    unreachable,
    unreachable,
    acknowledgedOutcome,
    acknowledgedOutcome,
    unreachable,
    acknowledgedOutcome,
  ]) {
    await settle();
    expect(asked).toHaveLength(order.length + 1);
    order.push(asked.at(-1)!.batch.idempotencyKey);
    asked.at(-1)!.answer(outcome);
  }
  await settle();
  expect(order).toEqual(["a", "a", "a", "b", "c", "c"]);
  expect(delivery.counts).toMatchObject({ acknowledged: 6, pending: 0, unreachableRequests: 3 });
});

test("a full queue drops its oldest and counts every event of them", async () => {
  const { asked, post } = manualPost();
  const delivery = createDelivery<RequestBatch>(
    { post, pause: recordedPauses().pause, random: Math.random },
    { maxInFlight: 1, maxWaitingEvents: 10 },
  );
  delivery.offer(batch("under way", 4));
  for (const [index, events] of [3, 3, 4, 5].entries()) delivery.offer(batch(`waiting-${index}`, events));
  expect(delivery.counts).toMatchObject({ offered: 19, dropped: 6, pending: 13 });
  const delivered: string[] = [];
  while (delivery.counts.pending > 0) {
    delivered.push(asked.at(-1)!.batch.idempotencyKey);
    asked.at(-1)!.answer(acknowledgedOutcome);
    await settle();
  }
  expect(delivered).toEqual(["under way", "waiting-2", "waiting-3"]);
  expect(delivery.counts).toMatchObject({ offered: 19, acknowledged: 13, dropped: 6, rejected: 0, pending: 0 });
});

test("what can never be accepted is not tried again and does not hold up the rest", async () => {
  const service = await stub([{ status: 422 }]);
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const delivery = createDelivery<RequestBatch>(
    { post: postTo(service.url), pause: recordedPauses().pause, random: Math.random, onAcknowledged: () => finish() },
    { maxInFlight: 1, maxWaitingEvents: 10 },
  );
  delivery.offer(batch("bad", 3));
  delivery.offer(batch("good", 2));
  await finished;
  expect([...service.stored.keys()]).toEqual(["good"]);
  expect(delivery.counts).toMatchObject({ rejected: 3, acknowledged: 2, pending: 0 });
});

test("draining tries at once what waits for its next attempt, and ends when all is acknowledged", async () => {
  const { asked, post } = manualPost();
  const delivery = createDelivery<RequestBatch>(
    { post, pause, random: () => 1 },
    { maxInFlight: 1, maxWaitingEvents: 10 },
  );
  delivery.offer(batch("a"));
  delivery.offer(batch("b"));
  // Ten minutes that only the draining can cut short.
  asked[0]!.answer({ kind: "refused", status: 503, retryAfterMs: 600_000, message: "" });
  await settle();
  const drained = delivery.drain(600_000);
  for (const index of [1, 2]) {
    await settle();
    asked[index]!.answer(acknowledgedOutcome);
  }
  await drained;
  expect(delivery.counts).toMatchObject({ acknowledged: 4, pending: 0 });
  await delivery.drain(600_000);
});

test("draining gives up at its limit, and nothing is sent after the stop", async () => {
  const { asked, post } = manualPost();
  const delivery = createDelivery<RequestBatch>(
    { post, pause, random: () => 1 },
    { maxInFlight: 1, maxWaitingEvents: 10 },
  );
  delivery.offer(batch("a"));
  delivery.offer(batch("b"));
  await delivery.drain(1);
  delivery.stop();
  asked[0]!.answer(unreachable);
  await settle();
  expect(asked).toHaveLength(1);
  expect(delivery.counts).toMatchObject({ offered: 4, acknowledged: 0, pending: 4 });
});

test("a pause ends when it is woken, also when that was before", async () => {
  const wake = new AbortController();
  const woken = pause(600_000, wake.signal);
  wake.abort();
  await woken;
  await pause(600_000, wake.signal);
  await pause(0, new AbortController().signal);
});
