import { expect, test } from "bun:test";
import { Readable } from "node:stream";
import type { Batch, Journal } from "../journal/journal.ts";
import { createRingMemory, RingConsumer } from "../ring/ring.ts";
import type { RowStore } from "./clickhouse.ts";
import type { Inserter } from "./inserter.ts";
import type { FromWriter } from "./messages.ts";
import { createWriter } from "./writer.ts";

const nowMs = 1_800_000_000_000;

const batch = (token: string, rows: string, ageMs = 0): Batch => ({
  token,
  rowCount: 1,
  bytes: rows.length,
  sinceMs: nowMs - ageMs,
  epoch: 0,
  body: () => Readable.from([Buffer.from(rows)]),
  splits: new Set(),
  recordSplit: () => undefined,
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
