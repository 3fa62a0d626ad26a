import { expect, test } from "bun:test";
import { Readable } from "node:stream";
import { until } from "../../testing/until.ts";
import { BatchProgress } from "../journal/batch-progress.ts";
import type { Batch, Journal } from "../journal/journal.ts";
import type { FromWriter } from "../protocol.ts";
import { createRingMemory, RingConsumer, RingProducer } from "../ring/ring.ts";
import type { RowStore } from "../row-store.ts";
import type { Inserter } from "./inserter.ts";
import { createWriter } from "./writer.ts";

const nowMs = 1_800_000_000_000;

const batch = (token: string, rows: string, ageMs = 0): Batch => ({
  token,
  rowCount: 1,
  bytes: rows.length,
  sinceMs: nowMs - ageMs,
  epoch: 0,
  body: () => Readable.from([Buffer.from(rows)]),
  progress: new BatchProgress(),
  place: null,
  ownStates: true,
  record: () => undefined,
});

/** A writer whose ClickHouse never answers. */
function createWaiting(sealed: Batch[]) {
  const journal: Journal = {
    append: () => ({ ok: true }),
    open: { rowCount: 0, bytes: 0, sinceMs: 0, epoch: 0 },
    seal: () => undefined,
    sealed,
    commit: () => undefined,
    bytes: 0,
    close: () => undefined,
  };
  const never = new Promise<never>(() => undefined);
  const recovered: [epoch: number, rows: string][] = [];
  const all = Promise.withResolvers<void>();
  const post = (message: FromWriter): void => {
    if (message.type !== "recovered_rows") return;
    if (!message.last) recovered.push([message.epoch, new TextDecoder().decode(message.rows)]);
    else if (message.epoch === sealed.length) all.resolve();
    // As the main thread does: in its own turn.
    if (!message.last) setImmediate(() => writer.recoveredTaken());
  };
  const writer = createWriter(
    {
      ring: new RingConsumer(createRingMemory(1 << 16)),
      journal,
      now: () => nowMs,
      monotonicNow: () => nowMs,
      post,
      log: () => undefined,
    },
    { batchRows: 10, segmentMaxBytes: 1000, flushIntervalMs: 10, segmentMaxAgeMs: 3_600_000 },
  );
  const store: RowStore = {
    insert: () => never,
    query: () => never,
    client: {} as RowStore["client"],
    failOver: () => undefined,
    close: async () => undefined,
  };
  const inserter: Inserter = {
    store: () => never,
    probe: () => never,
    state: "unavailable",
    retries: 0,
    lastError: null,
    deadLetterFailure: null,
  };
  return { writer, recovered, all: all.promise, connect: () => writer.connect(store, inserter) };
}

test("the live view gets every batch that an earlier run left while ClickHouse does not answer, and stopping is bounded", async () => {
  const minutesMs = 60_000;
  const { writer, recovered, all, connect } = createWaiting([
    batch("a", "too old", 120 * minutesMs),
    batch("b", "open for long", 50 * minutesMs),
    batch("c", "new"),
  ]);
  connect();
  await all;
  expect(recovered).toEqual([
    [2, "open for long"],
    [3, "new"],
  ]);
  expect(await writer.stop(1)).toBe(3);
});

/** A journal in memory, whose disk makes it end a batch in the middle of an append when it is told to. */
function createMovingJournal() {
  let open = { rowCount: 0, bytes: 0, sinceMs: nowMs, epoch: 0 };
  const sealed: Batch[] = [];
  const state = { endsBatch: false, refuses: false };
  const end = (): void => {
    if (open.rowCount === 0) return;
    const { rowCount, bytes, epoch } = open;
    sealed.push({ ...batch(`token-${epoch}-${sealed.length}`, ""), rowCount, bytes, epoch });
    open = { rowCount: 0, bytes: 0, sinceMs: nowMs, epoch: 0 };
  };
  const journal: Journal = {
    append({ rowCount, rows, epoch }) {
      if (state.endsBatch) end();
      state.endsBatch = false;
      if (state.refuses) return { ok: false, reason: "journal_failed", message: "EIO" };
      open = { ...open, rowCount: open.rowCount + rowCount, bytes: open.bytes + rows.length, epoch };
      return { ok: true };
    },
    get open() {
      return open;
    },
    seal: end,
    sealed,
    commit: (done) => void sealed.splice(sealed.indexOf(done), 1),
    bytes: 0,
    close: () => undefined,
  };
  return { journal, state };
}

function createRunning(state: Inserter["state"] = "ok") {
  const { journal, state: disk } = createMovingJournal();
  const memory = createRingMemory(1 << 16);
  const ring = new RingProducer(memory);
  const posted: FromWriter[] = [];
  const inserts: { epoch: number; rows: number; done: () => void }[] = [];
  const queries: string[] = [];
  const probes: number[] = [];
  const writer = createWriter(
    {
      ring: new RingConsumer(memory),
      journal,
      now: () => nowMs,
      monotonicNow: () => performance.now(),
      post: (message) => posted.push(message),
      log: () => undefined,
    },
    { batchRows: 1_000_000, segmentMaxBytes: 1 << 30, flushIntervalMs: 0, segmentMaxAgeMs: 3_600_000 },
  );
  const store: RowStore = {
    insert: async () => "stored",
    query: async (sql) => {
      queries.push(sql);
      return new Uint8Array(1);
    },
    client: {} as RowStore["client"],
    failOver: () => undefined,
    close: async () => undefined,
  };
  const inserter: Inserter = {
    store: (each) =>
      new Promise((resolve) => {
        const done = (): void => resolve({ deadLettered: 0, attempts: 1 });
        inserts.push({ epoch: each.epoch, rows: each.rowCount, done });
      }),
    probe: async () => void probes.push(performance.now()),
    state,
    retries: 0,
    lastError: null,
    deadLetterFailure: null,
  };
  writer.connect(store, inserter);
  const push = (epoch: number, rows = 1): void => {
    if (!ring.tryPush(new Uint8Array(8), rows, epoch)) throw new Error("the ring is full");
    if (ring.takeSleeping()) writer.wake();
  };
  const seen = (type: FromWriter["type"]): FromWriter[] => posted.filter((message) => message.type === type);
  return { writer, ring, disk, posted, inserts, queries, probes, push, seen };
}

test("a batch that the journal ends by itself is told and inserted at once, and its last epoch is not called stored before the rest", async () => {
  const { writer, ring, disk, posted, inserts, queries, push, seen } = createRunning();
  push(7);
  await until("1 durable", () => seen("durable").length === 1);
  // The disk fails: the batch ends in the middle of epoch 7, whose next row goes into another one.
  disk.endsBatch = true;
  push(7);
  await until("1 inserts", () => inserts.length === 1);
  // Told before the row that is not in it is.
  const order = posted.filter(({ type }) => type === "durable" || type === "sealed");
  expect(order.map(({ type }) => type)).toEqual(["durable", "sealed", "durable"]);
  expect(seen("sealed")).toEqual([{ type: "sealed", epoch: 6 }]);
  inserts[0]?.done();
  await until("1 stored", () => seen("stored").length === 1);
  expect(seen("stored")[0]).toMatchObject({ epoch: 6 });
  // ClickHouse has half of epoch 7 now: no moment to ask what it holds.
  writer.query(1, "SELECT 1");
  ring.closeEpoch(7);
  await until("2 inserts", () => inserts.length === 2);
  expect(queries).toEqual([]);
  inserts[1]?.done();
  await until("1 answer", () => seen("answer").length === 1);
  expect(seen("stored")[1]).toMatchObject({ epoch: 7 });
  expect(await writer.stop(1000)).toBe(0);
});

test("when nothing more of its last epoch comes, a batch that the journal ended stores all of it", async () => {
  const { writer, ring, disk, inserts, push, seen } = createRunning();
  push(7);
  await until("1 durable", () => seen("durable").length === 1);
  Object.assign(disk, { endsBatch: true, refuses: true });
  push(7);
  await until("1 refused, 1 inserts", () => seen("refused").length === 1 && inserts.length === 1);
  ring.closeEpoch(7);
  inserts[0]?.done();
  await until("1 stored", () => seen("stored").length === 1);
  expect(seen("stored")[0]).toMatchObject({ epoch: 7 });
  expect(await writer.stop(1000)).toBe(0);
});

test("queries that keep coming do not put off the look whether ClickHouse is back, nor does the look put off them", async () => {
  const { writer, probes, queries, seen } = createRunning("unavailable");
  const asking = setInterval(() => writer.query(queries.length, "SELECT 1"), 5);
  await until("4 probes", () => probes.length === 4);
  clearInterval(asking);
  expect(seen("answer").length).toBeGreaterThan(3);
  expect(await writer.stop(1000)).toBe(0);
});
