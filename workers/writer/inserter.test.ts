import { expect, test } from "bun:test";
import { Readable } from "node:stream";
import { ClickHouseError } from "@clickhouse/client";
import type { Event } from "../../contract/event.ts";
import { RowEncoder } from "../../contract/row.ts";
import { BatchProgress, type ProgressRecord } from "../journal/batch-progress.ts";
import type { Batch, BatchPart, RowRange } from "../journal/journal.ts";
import { type InsertOutcome, type RowStore, StatesRefusedError } from "../row-store.ts";
import type { DeadLetter, DeadLetterFile } from "./dead-letter.ts";
import { createInserter, type Inserter } from "./inserter.ts";

/** A segment, and what of it survives a crash: rows, token, progress. */
function createBatch(
  devices: readonly string[],
  token = "journal-1-nonce",
  reading: (row: number) => Pick<Event, "event_type" | "value_float"> = () => ({ event_type: "t" }),
): Batch & { failRecords: number; failReads: number } {
  const encoder = new RowEncoder();
  const rows = devices.map((device_id, row) => {
    encoder.reset();
    encoder.encode({ device_id, ...reading(row) }, 1_000, 1_000);
    return encoder.bytes().slice();
  });
  const progress = new BatchProgress();
  const batch = {
    token,
    rowCount: rows.length,
    bytes: rows.reduce((sum, row) => sum + row.length, 0),
    sinceMs: 0,
    epoch: 1,
    progress,
    place: null,
    ownStates: true,
    failRecords: 0,
    failReads: 0,
    body: (range: RowRange = { from: 0, to: rows.length }) => {
      if (batch.failReads-- > 0) return new Readable({ read: () => undefined }).destroy(new Error("EIO"));
      const part = rows.slice(range.from, range.to);
      return Object.assign(Readable.from(part.length === 0 ? [] : [Buffer.concat(part)]), {
        devices: devices.slice(range.from, range.to),
      });
    },
    record(record: ProgressRecord) {
      if (batch.failRecords-- > 0) throw new Error("ENOSPC");
      progress.add(record);
    },
  };
  return batch;
}

class Crash extends Error {}

/** What ClickHouse does with tokens and refused rows, in memory. */
class FakeStore implements RowStore {
  readonly stored: string[] = [];
  readonly tokens: string[] = [];
  readonly deadlines: number[] = [];
  /** Newest first of what is remembered. */
  tokensRemembered = 10_000;
  refuses: (device: string) => boolean = () => false;
  /** Called before each insert; what it throws is what the insert fails with. */
  before: (count: number) => void = () => undefined;
  /** Called after the rows are stored: the reply is lost. */
  after: (count: number) => void = () => undefined;
  inserts = 0;
  failedOver = 0;
  readonly client = fakeClient;

  /** More rows than this are too much at once. */
  rowsMax = Number.POSITIVE_INFINITY;

  async insert({ batch, range }: BatchPart, token: string, timeoutMs: number): Promise<InsertOutcome> {
    const body = batch.body(range ?? undefined);
    const count = ++this.inserts;
    this.deadlines.push(timeoutMs);
    body.destroy();
    this.before(count);
    const { devices } = body as Readable & { devices: string[] };
    if (devices.length > this.rowsMax) return "too_large";
    if (devices.some(this.refuses)) throw new ClickHouseError({ code: "469", message: "refused. ", type: "" });
    if (!this.tokens.slice(-this.tokensRemembered).includes(token)) {
      this.tokens.push(token);
      this.stored.push(...devices);
    }
    this.after(count);
    return "stored";
  }
  async query(): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(1);
  }
  failOver(): void {
    this.failedOver++;
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** As much of a client as `applySchema` asks for: an empty database that takes every statement. */
const fakeClient = {
  command: async () => undefined,
  insert: async () => undefined,
  query: async () => ({ json: async () => [] }),
} as unknown as RowStore["client"];

/** Letters that survive a crash, as the files do. */
function createLetters(): DeadLetterFile & { letters: DeadLetter[]; full: boolean } {
  const letters: DeadLetter[] = [];
  return {
    letters,
    full: false,
    get count() {
      return letters.length;
    },
    has: (id) => letters.some((letter) => letter.id === id),
    tryAppend(letter) {
      if (this.full) return false;
      letters.push(letter);
      return true;
    },
    close: () => undefined,
  };
}

function createUnderTest(store: FakeStore, letters = createLetters()): { inserter: Inserter; pauses: number[] } {
  const pauses: number[] = [];
  const inserter = createInserter(
    {
      store,
      deadLetters: letters,
      now: () => 0,
      random: () => 1,
      pause: async (ms) => void pauses.push(ms),
      log: () => undefined,
      onStatus: () => undefined,
    },
    { database: "default", retentionDays: 90, insertTimeoutMs: 100, cluster: null },
  );
  return { inserter, pauses };
}

const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `d${n}`);
const never = (): boolean => false;

test("a batch goes in as a whole, under its own token", async () => {
  const store = new FakeStore();
  const { inserter } = createUnderTest(store);
  expect(await inserter.store(createBatch(names(10)), never)).toEqual({ deadLettered: 0, attempts: 1 });
  expect(store.tokens).toEqual(["journal-1-nonce"]);
  expect(inserter.state).toBe("ok");
});

test("a batch whose states are refused is repeated as it is: its rows are stored already", async () => {
  const store = new FakeStore();
  const letters = createLetters();
  store.after = (count) => {
    if (count > 3) return;
    const refused = new ClickHouseError({ code: "469", message: "refused. ", type: "" });
    throw new StatesRefusedError("refused", { cause: refused });
  };
  const { inserter } = createUnderTest(store, letters);
  const batch = createBatch(names(10));
  expect(await inserter.store(batch, never)).toEqual({ deadLettered: 0, attempts: 4 });
  expect(store.tokens).toEqual(["journal-1-nonce"]);
  expect([...batch.progress.splits]).toEqual([]);
  expect(letters.letters).toEqual([]);
});

test("an outage is retried under the same token with growing deadlines, and dead-letters nothing", async () => {
  const store = new FakeStore();
  const letters = createLetters();
  const codes = ["210", "241", "516", "243", "987654"];
  store.before = (count) => {
    if (count <= 40)
      throw new ClickHouseError({ code: codes[count % codes.length] as string, message: "no. ", type: "" });
  };
  const { inserter, pauses } = createUnderTest(store, letters);
  expect(await inserter.store(createBatch(names(3)), never)).toEqual({ deadLettered: 0, attempts: 41 });
  expect(store.stored).toEqual(names(3));
  expect(letters.count).toBe(0);
  expect(store.deadlines.slice(0, 12)).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1000, 1000]);
  expect(Math.max(...pauses)).toBe(10_000);
  expect(store.failedOver).toBe(40);
});

test("a lost reply doubles nothing", async () => {
  const store = new FakeStore();
  store.after = (count) => {
    if (count < 5) throw new Error("read ECONNRESET");
  };
  await createUnderTest(store).inserter.store(createBatch(names(5)), never);
  expect(store.stored).toEqual(names(5));
});

test("denied is shown as denied, and passes", async () => {
  const store = new FakeStore();
  const seen: string[] = [];
  const { inserter } = createUnderTest(store);
  store.before = (count) => {
    seen.push(inserter.state);
    if (count < 3) throw new ClickHouseError({ code: "516", message: "no. ", type: "" });
  };
  await inserter.store(createBatch(names(1)), never);
  expect(seen.slice(1)).toEqual(["denied", "denied"]);
  expect(inserter.state).toBe("ok");
});

test("refused rows become dead letters with their reason, all others are stored once", async () => {
  const store = new FakeStore();
  const letters = createLetters();
  const bad = new Set(["d0", "d3", "d4", "d62", "d99"]);
  store.refuses = (device) => bad.has(device);
  const result = await createUnderTest(store, letters).inserter.store(createBatch(names(100)), never);
  expect(result?.deadLettered).toBe(5);
  expect(store.stored).toEqual(names(100).filter((name) => !bad.has(name)));
  expect(letters.letters.map(({ id, code, event }) => [id, code, event.device_id])).toEqual(
    [0, 3, 4, 62, 99].map((row) => [`journal-1-nonce:${row}`, 469, `d${row}`]),
  );
});

test("a single refused row is a batch, too", async () => {
  const store = new FakeStore();
  store.refuses = () => true;
  const letters = createLetters();
  expect(await createUnderTest(store, letters).inserter.store(createBatch(["x"]), never)).toEqual({
    deadLettered: 1,
    attempts: 1,
  });
});

test("a crash at any insert of a bisection loses and doubles nothing, even if nothing is refused any more afterwards", async () => {
  for (const healed of [false, true]) {
    for (const lostReply of [false, true]) {
      for (let crashAt = 1; crashAt <= 24; crashAt++) {
        const store = new FakeStore();
        const letters = createLetters();
        const batch = createBatch(names(16));
        store.refuses = (device) => device === "d5" || device === "d11";
        const crash = (count: number): void => {
          if (count === crashAt) throw new Crash();
        };
        if (lostReply) store.after = crash;
        else store.before = crash;
        // A crash ends the process: nothing of the inserter goes on.
        await createUnderTest(store, letters)
          .inserter.store(batch, () => store.inserts >= crashAt)
          .catch((error: unknown) => expect(error).toBeInstanceOf(Crash));
        store.before = () => undefined;
        store.after = () => undefined;
        if (healed) store.refuses = () => false;
        await createUnderTest(store, letters).inserter.store(batch, never);
        const kept = [...store.stored, ...letters.letters.map(({ event }) => event.device_id)].sort();
        expect({ healed, lostReply, crashAt, kept }).toEqual({ healed, lostReply, crashAt, kept: names(16).sort() });
      }
    }
  }
});

test("a bisection longer than ClickHouse's memory for tokens is not begun anew after a crash", async () => {
  const store = new FakeStore();
  store.tokensRemembered = 600;
  const letters = createLetters();
  const batch = createBatch(names(4096));
  // Every other row: 2,048 inserts of one row each succeed.
  store.refuses = (device) => Number(device.slice(1)) % 2 === 1;
  await createUnderTest(store, letters).inserter.store(batch, () => store.stored.length >= 1900);
  const result = await createUnderTest(store, letters).inserter.store(batch, never);
  expect(store.stored.length).toBe(2048);
  expect(new Set(store.stored).size).toBe(2048);
  expect(letters.count).toBe(2048);
  expect(result?.deadLettered).toBe(2048);
});

test("nothing goes on while a split cannot be recorded", async () => {
  const store = new FakeStore();
  store.refuses = (device) => device === "d1";
  const batch = createBatch(names(4));
  batch.failRecords = 3;
  const { inserter, pauses } = createUnderTest(store);
  await inserter.store(batch, never);
  expect(pauses.length).toBe(3);
  expect(store.stored).toEqual(["d0", "d2", "d3"]);
});

test("a full dead-letter directory holds the row back, says so, and goes on when there is room", async () => {
  const store = new FakeStore();
  const letters = createLetters();
  letters.full = true;
  store.refuses = () => true;
  const { inserter } = createUnderTest(store, letters);
  let looks = 0;
  const result = await inserter.store(createBatch(["x"]), () => {
    if (++looks === 3) {
      expect(inserter.deadLetterFailure).toContain("DEAD_LETTER_MAX_BYTES");
      letters.full = false;
    }
    return false;
  });
  expect(result?.deadLettered).toBe(1);
  expect(inserter.deadLetterFailure).toBeNull();
});

test("stopping ends a batch that does not get through, and says that it did not", async () => {
  const store = new FakeStore();
  store.before = () => {
    throw new Error("connect ECONNREFUSED");
  };
  const { inserter } = createUnderTest(store);
  expect(await inserter.store(createBatch(names(2)), () => store.inserts >= 3)).toBeUndefined();
  expect(store.stored).toEqual([]);
});

test("a batch whose rollups are too much at once is split before it is sent, and the same way after a crash", async () => {
  const store = new FakeStore();
  store.rowsMax = 500;
  const batch = createBatch(names(1_200));
  // The first part goes in, and its reply is lost in a crash.
  store.after = () => {
    throw new Crash();
  };
  await createUnderTest(store).inserter.store(batch, () => store.tokens.length > 0);
  store.after = () => undefined;
  expect([...batch.progress.splits]).toEqual(["0-1200", "0-600"]);
  expect(await createUnderTest(store).inserter.store(batch, never)).toMatchObject({ deadLettered: 0 });
  expect(store.stored).toEqual(names(1_200));
  expect(store.tokens).toEqual(["0-300", "300-600", "600-900", "900-1200"].map((range) => `${batch.token}/${range}`));
});

test("a refused row that cannot be read now is tried again", async () => {
  const store = new FakeStore();
  const refused = createBatch(["x"], "journal-2-nonce");
  store.refuses = () => true;
  store.before = () => {
    refused.failReads = 1;
  };
  const letters = createLetters();
  expect(await createUnderTest(store, letters).inserter.store(refused, never)).toMatchObject({ deadLettered: 1 });
  expect(letters.letters[0]?.event.device_id).toBe("x");
});
