import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RowEncoder } from "../contract/row.ts";
import { until } from "../testing/until.ts";
import { startWriter, type WriterClient } from "./client.ts";
import { openDiskJournal } from "./journal/disk.ts";
import { realFiles } from "./journal/files.ts";
import type { FromWriter, StoredBatch, WriterStatus } from "./protocol.ts";
import { createRingMemory, RingConsumer, RingProducer } from "./ring/ring.ts";
import { createWriter } from "./writer/writer.ts";

/** Ends what a test started, whatever became of it. */
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Answer = (response: ServerResponse, insert: { token: string; body: Buffer; count: number }) => void;

const confirm = (response: ServerResponse): void => void response.end();

/** ClickHouse's HTTP interface: answers what the schema asks, and inserts into `telemetry_events` as the test says. */
async function startFakeClickHouse(answer: Answer) {
  const inserts: { token: string; body: Buffer }[] = [];
  /** Inserts received before each `SELECT 1`. */
  const insertsBeforeSelect: number[] = [];
  const server = createServer((request, response) => void take(request, response));
  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch (error) {
      if (error instanceof Error) return;
      throw error;
    }
    const { searchParams } = new URL(request.url ?? "", "http://fake");
    response.setHeader("X-ClickHouse-Query-Id", searchParams.get("query_id") ?? "");
    if (!(searchParams.get("query") ?? "").includes("telemetry_events (")) {
      if (Buffer.concat(chunks).toString().startsWith("SELECT 1")) insertsBeforeSelect.push(inserts.length);
      response.end();
      return;
    }
    const insert = { token: searchParams.get("insert_deduplication_token") ?? "", body: Buffer.concat(chunks) };
    inserts.push(insert);
    answer(response, { ...insert, count: inserts.length });
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { inserts, insertsBeforeSelect, url: `http://127.0.0.1:${port}` };
}

function createDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "sluice-writer-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

interface Thread {
  readonly writer: WriterClient;
  readonly stored: StoredBatch[];
  readonly directory: string;
  durableRows: number;
  status: WriterStatus | undefined;
  push(devices: readonly string[]): void;
}

async function startThread(
  url: string,
  insertTimeoutMs: number,
  { directory = createDirectory(), beforeConnect = (_: WriterClient): void => undefined } = {},
): Promise<Thread> {
  let epoch = 0;
  const thread: Thread = {
    writer: startWriter(
      {
        ring: createRingMemory(1 << 20),
        dataDirectory: directory,
        journalDirectory: join(directory, "journal"),
        journalMaxBytes: 1 << 24,
        deadLetterDirectory: join(directory, "dead-letter"),
        deadLetterMaxBytes: 1 << 20,
        batchRows: 1000,
        segmentMaxBytes: 1 << 20,
        flushIntervalMs: 10,
        segmentMaxAgeMs: 100,
        ownStatesRows: 1,
        insertTimeoutMs,
        retentionDays: 90,
        diskReserveBytes: null,
        redis: null,
      },
      {
        durable: (message) => {
          thread.durableRows += message.rows;
        },
        stored: (message) => thread.stored.push(message.batch),
        recovered_rows: ({ last }) => {
          if (!last) thread.writer.recoveredTaken();
        },
        status: (message) => {
          thread.status = message.status;
        },
      },
    ),
    stored: [],
    directory,
    durableRows: 0,
    status: undefined,
    push(devices) {
      const encoder = new RowEncoder();
      for (const device_id of devices) encoder.encode({ device_id, event_type: "t" }, 1_000, 1_000);
      if (!thread.writer.ring.tryPush(encoder.bytes(), devices.length, ++epoch)) throw new Error("the ring is full");
      thread.writer.ring.closeEpoch(epoch);
      thread.writer.wake();
    },
  };
  cleanups.push(() => thread.writer.stop(0));
  await thread.writer.ready;
  beforeConnect(thread.writer);
  thread.writer.connect({ urls: [url], user: "default", password: "", database: "default", cluster: null });
  return thread;
}

const segments = ({ directory }: Thread): string[] =>
  existsSync(join(directory, "journal"))
    ? readdirSync(join(directory, "journal")).filter((name) => name.endsWith(".seg"))
    : [];

test("rows go from the ring through the journal into ClickHouse, byte for byte", async () => {
  const clickhouse = await startFakeClickHouse(confirm);
  const thread = await startThread(clickhouse.url, 5_000);
  thread.push(["a", "b"]);
  await until("stored", () => thread.stored.length === 1);
  const encoder = new RowEncoder();
  for (const device_id of ["a", "b"]) encoder.encode({ device_id, event_type: "t" }, 1_000, 1_000);
  expect(clickhouse.inserts.map(({ body }) => body)).toEqual([Buffer.from(encoder.bytes())]);
  expect(thread.stored[0]).toMatchObject({ rows: 2, deadLettered: 0, attempts: 1 });
  expect(thread.durableRows).toBe(2);
  await until("the segment is gone", () => segments(thread).length === 0);
});

const notConfirmations: Record<string, Answer> = {
  "an empty success that is not ClickHouse's": (response) => {
    response.removeHeader("X-ClickHouse-Query-Id");
    response.end();
  },
  "a page of a proxy": (response) => {
    response.removeHeader("X-ClickHouse-Query-Id");
    response.end("<html>welcome</html>");
  },
  "an exception behind a 200": (response) => {
    response.end("Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED) (version 26.7)");
  },
  "a success cut short": (response) => {
    response.writeHead(200, { "Content-Length": "10" });
    response.write("Code");
    setTimeout(() => response.socket?.destroy(), 5);
  },
  "an exception": (response) => {
    response.writeHead(500, { "X-ClickHouse-Exception-Code": "252" });
    response.end("Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS) (version 26.7)");
  },
  "a closed connection": (response) => void response.socket?.destroy(),
};

for (const [what, answer] of Object.entries(notConfirmations)) {
  test(`${what} confirms nothing: the batch is sent again, the same, until it is confirmed`, async () => {
    const clickhouse = await startFakeClickHouse((response, insert) =>
      insert.count <= 2 ? answer(response, insert) : confirm(response),
    );
    const thread = await startThread(clickhouse.url, 5_000);
    thread.push(["a"]);
    await until("stored", () => thread.stored.length === 1);
    expect(clickhouse.inserts.length).toBe(3);
    expect(new Set(clickhouse.inserts.map(({ token }) => token)).size).toBe(1);
    expect(new Set(clickhouse.inserts.map(({ body }) => body.toString("hex"))).size).toBe(1);
    expect(thread.stored[0]?.attempts).toBe(3);
  });
}

test("with a backlog two batches are inserted at a time, reported in their order, and a query has neither beside it", async () => {
  const held: (() => void)[] = [];
  const clickhouse = await startFakeClickHouse((response, { count }) => {
    if (count === 1) confirm(response);
    else held.push(() => confirm(response));
  });
  const thread = await startThread(clickhouse.url, 10_000);
  // Inserting begins one by one until ClickHouse is known to be well.
  thread.push(["first"]);
  await until("the first is stored", () => thread.stored.length === 1);
  const batch = (name: string) => Array.from({ length: 1000 }, () => name);
  for (const name of ["a", "b", "c"]) {
    thread.push(batch(name));
    await until("durable", () => thread.durableRows % 1000 === 1 && thread.writer.ring.usedBytes === 0);
  }
  await until("two are under way", () => clickhouse.inserts.length === 3);
  await Bun.sleep(50);
  expect(clickhouse.inserts.length).toBe(3);
  const [, a, b] = clickhouse.inserts;
  expect(a?.token).not.toBe(b?.token);
  let answered = 0;
  const query = thread.writer.query("SELECT 1").then(({ ok }) => {
    expect(ok).toBe(true);
    answered = thread.stored.length;
  });
  // The newer one is confirmed: nothing is said of it, and its segment stays, while the older one is not.
  held[1]?.();
  await Bun.sleep(100);
  expect(thread.stored.length).toBe(1);
  expect(segments(thread).length).toBe(3);
  held[0]?.();
  await query;
  expect(answered).toBe(3);
  await until("the last is under way", () => held.length === 3);
  held[2]?.();
  await until("all are stored", () => thread.stored.length === 4);
  expect(thread.stored.map(({ rows }) => rows)).toEqual([1, 1000, 1000, 1000]);
  await until("the segments are gone", () => segments(thread).length === 0);
});

test("after a crash with two batches under way, no rollup is read before both are confirmed", async () => {
  const hanging = await startFakeClickHouse(() => undefined);
  const before = await startThread(hanging.url, 10_000);
  for (const name of ["a", "b", "c"]) {
    before.push(Array.from({ length: 1000 }, () => name));
    await until("durable", () => before.durableRows % 1000 === 0 && before.writer.ring.usedBytes === 0);
  }
  await until("inserting", () => hanging.inserts.length > 0);
  expect(await before.writer.stop(0)).toBe(3000);
  const clickhouse = await startFakeClickHouse(confirm);
  let answered = false;
  const after = await startThread(clickhouse.url, 10_000, {
    directory: before.directory,
    beforeConnect: (writer) =>
      void writer.query("SELECT 1").then(({ ok }) => {
        answered = ok;
      }),
  });
  await until("the query's answer", () => answered);
  expect(clickhouse.insertsBeforeSelect).toEqual([2]);
  await until("all are stored", () => after.stored.length === 3);
});

test("a ClickHouse slower than INSERT_TIMEOUT gets longer with each attempt, until it can answer", async () => {
  const clickhouse = await startFakeClickHouse((response) => void setTimeout(() => response.end(), 700));
  const thread = await startThread(clickhouse.url, 200);
  thread.push(["a"]);
  await until("stored", () => thread.stored.length === 1);
  expect(thread.stored[0]?.attempts).toBeGreaterThanOrEqual(4);
  expect(thread.stored[0]?.attempts).toBeLessThanOrEqual(10);
});

test("a stop is bounded while ClickHouse hangs, and the batch stays", async () => {
  const clickhouse = await startFakeClickHouse(() => undefined);
  const thread = await startThread(clickhouse.url, 60_000);
  thread.push(["a", "b", "c"]);
  await until("the insert is under way", () => clickhouse.inserts.length === 1);
  const startedMs = performance.now();
  expect(await thread.writer.stop(200)).toBe(3);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  expect(segments(thread).length).toBe(1);
});

test("a batch is sealed by its age although the wall clock is set back by a day", async () => {
  const directory = createDirectory();
  let wallMs = 1_700_000_000_000;
  let monotonicMs = 0;
  const { journal } = await openDiskJournal({
    files: realFiles,
    directory,
    maxBytes: 1 << 20,
    ownStatesRows: 1,
    nowMs: () => wallMs,
    log: () => undefined,
  });
  const memory = createRingMemory(1 << 16);
  const ring = new RingProducer(memory);
  const posted: FromWriter[] = [];
  const writer = createWriter(
    {
      ring: new RingConsumer(memory),
      journal,
      now: () => wallMs,
      monotonicNow: () => monotonicMs,
      post: (message) => void posted.push(message),
      log: () => undefined,
    },
    { batchRows: 1000, segmentMaxBytes: 1 << 20, flushIntervalMs: 1000, segmentMaxAgeMs: 60_000 },
  );
  cleanups.push(() => writer.stop(0));
  ring.tryPush(new Uint8Array([1]), 1, 1);
  ring.closeEpoch(1);
  writer.wake();
  await until("durable", () => posted.some(({ type }) => type === "durable"));
  wallMs -= 86_400_000;
  expect(posted.some(({ type }) => type === "sealed")).toBe(false);
  monotonicMs += 1001;
  await until("sealed", () => posted.some(({ type }) => type === "sealed"));
});
