import { expect, test } from "bun:test";
import { createRingMemory, RingConsumer, RingProducer } from "../../workers/ring/ring.ts";
import { epochOf } from "../live-view/epoch.ts";
import { ObservationQueue } from "../live-view/observation-queue.ts";
import { TypeTable } from "../live-view/type-table.ts";
import { createIngest, type IngestDeps } from "./ingest.ts";

const journalBytes = 2 ** 20;

function create({ journalMaxBytes = journalBytes } = {}) {
  const memory = createRingMemory(2 ** 20);
  const journal = new RingConsumer(memory);
  const deps: IngestDeps = {
    access: {
      ingest: () => ({ name: "", devicePrefix: null, takeEvents: () => undefined }),
    },
    writer: { ring: new RingProducer(memory), wake: () => undefined },
    aggregator: {
      types: new TypeTable(100),
      queue: new ObservationQueue(),
      currentEpoch: epochOf(1),
      fold: () => undefined,
      discard: () => undefined,
    },
    watch: { watchedDevices: new Map(), offerDevice: () => undefined },
    onAccepted: () => undefined,
    now: Date.now,
  };
  const ingest = createIngest(deps, {
    maxBodyBytes: 2 ** 16,
    maxEvents: 100,
    bodyTimeoutMs: 10_000,
    inFlightMaxBytes: 2 ** 20,
    maxClockSkewFutureMs: 1000,
    maxEventAgeMs: 1000,
    journalMaxBytes,
    retention: { days: 90, rules: [] },
    idempotencyMaxKeys: 10,
  });
  const post = (body: string | ReadableStream, query = "", headers: Record<string, string> = {}) =>
    ingest.handle(
      new Request(`http://localhost/ingest${query}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body,
      }),
    );
  return { ingest, journal, post };
}

const event = '{"device_id":"d","event_type":"t"}';
/** Lets what needs no more than promises come to rest. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a journal that was full and has room again counts as having room, before any request has tried", async () => {
  const { ingest, journal, post } = create();
  journal.publishJournalBytes(journalBytes);
  expect((await post(event)).status).toBe(503);
  expect(ingest.counts.journalFull).toBe(true);
  journal.publishJournalBytes(4096);
  expect(ingest.counts.journalFull).toBe(false);
});

test("while the journal is full, a body as long as one that found no room is refused unread; a shorter one is tried", async () => {
  const { ingest, journal, post } = create();
  const sized = (bytes: number): string => `{"device_id":"d","event_type":"t","value_string":"${"x".repeat(bytes)}"}`;
  journal.publishJournalBytes(journalBytes - 8192);
  // Refused for what is wrong with it, since it is read.
  expect((await post(`${sized(20_000)}}`)).status).toBe(400);
  expect((await post(sized(20_000))).status).toBe(503);
  expect((await post(`${sized(20_000)}}`)).status).toBe(503);
  const shorter = post(sized(10));
  await settled();
  ingest.durable(1);
  expect((await shorter).status).toBe(202);
  expect((await post(sized(20_000))).status).toBe(503);
  journal.publishJournalBytes(0);
  const now = post(sized(20_000));
  await settled();
  ingest.durable(1);
  expect((await now).status).toBe(202);
});

test("a request that not even an empty journal could hold is too large; the next smaller one is taken", async () => {
  const { ingest, post } = create({ journalMaxBytes: 2048 });
  const sized = (bytes: number): string => `{"device_id":"d","event_type":"t","value_string":"${"x".repeat(bytes)}"}`;
  const large = await post(sized(1000));
  expect(large.status).toBe(413);
  expect(await large.text()).toContain("JOURNAL_MAX_BYTES");
  expect(ingest.counts.journalFull).toBe(false);
  const smaller = post(sized(900));
  await settled();
  ingest.durable(1);
  expect((await smaller).status).toBe(202);
});

test("closing waits until events are durable, not until they are stored; who waits for that is answered at the end", async () => {
  const { ingest, post } = create();
  const answer = post(event, "?wait=stored");
  await settled();
  let closed = false;
  const closing = ingest.close().then(() => {
    closed = true;
  });
  await settled();
  expect(closed).toBe(false);
  ingest.durable(1);
  await closing;
  await ingest.giveUp();
  expect((await answer).status).toBe(202);
});

test("what is flushed while closing is confirmed to who waits for it", async () => {
  const { ingest, post } = create();
  const answer = post(event, "?wait=stored");
  await settled();
  const closing = ingest.close();
  ingest.durable(1);
  await closing;
  await settled();
  ingest.stored(1, true);
  await ingest.giveUp();
  expect((await answer).status).toBe(200);
});

test("a body that is still on its way does not hold up closing", async () => {
  const { ingest, post } = create();
  const answer = post(new ReadableStream());
  await settled();
  await ingest.close();
  expect((await answer).status).toBe(503);
});

test("wait=stored without a good event is answered at once; the number left out is said, however many are named", async () => {
  const { post } = create();
  const response = await post(`[${Array(80).fill("{}").join(",")}]`, "?wait=stored&on_error=skip");
  expect(response.status).toBe(200);
  const answer = (await response.json()) as { rejected: unknown[]; [field: string]: unknown };
  expect(answer).toMatchObject({ status: "stored", event_count: 0, rejected_count: 80 });
  expect(answer.rejected).toHaveLength(100);
});

test("a replayed key waits for the first request's events as the first request would", async () => {
  const { ingest, post } = create();
  const key = { "Idempotency-Key": "k" };
  const first = post(event, "", key);
  const whileUnderWay = post(event, "?wait=stored", key);
  await settled();
  ingest.durable(1);
  const onceDurable = post(event, "?wait=stored", key);
  expect((await first).status).toBe(202);
  let answered = false;
  void Promise.race([whileUnderWay, onceDurable]).then(() => {
    answered = true;
  });
  await settled();
  expect(answered).toBe(false);
  ingest.stored(1, true);
  for (const replay of [whileUnderWay, onceDurable, post(event, "?wait=stored", key)]) {
    const answer = await replay;
    expect([answer.status, await answer.json()]).toEqual([200, { status: "stored", event_count: 1 }]);
  }
  // Who does not ask for it is answered as before.
  expect((await post(event, "", key)).status).toBe(202);
  expect(ingest.counts.accepted).toBe(1);
});

test("a replayed key of an earlier run waits until what that run left is stored", async () => {
  const { ingest, post } = create();
  ingest.recover([{ key: "\0k", atMs: Date.now(), answer: '{"status":"queued","event_count":7}' }], 2);
  const replay = post(event, "?wait=stored", { "Idempotency-Key": "k" });
  ingest.stored(1, true);
  await settled();
  ingest.stored(2, true);
  expect(await (await replay).json()).toEqual({ status: "stored", event_count: 7 });
});

test("what is read of one body is nothing to the next, however short that is", async () => {
  const { ingest, post } = create();
  const padding = " ".repeat(1000);
  const timed = `${padding}{"device_id":"d","event_type":"t","timestamp":"${new Date().toISOString()}"}`;
  const lines = { "Content-Type": "application/x-ndjson" };
  for (const short of ["", "\n", "x", '{"device_id":7}']) {
    for (const headers of [{}, lines]) {
      const answer = post(timed);
      await settled();
      ingest.durable(1);
      expect((await answer).status).toBe(202);
      const { status } = await post(short, "", headers);
      expect([short, status === 400 || status === 422]).toEqual([short, true]);
    }
  }
});
