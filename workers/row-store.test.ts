import { afterEach, expect, test } from "bun:test";
import { Readable } from "node:stream";
import { RowEncoder } from "../contract/row.ts";
import { createColumnMaker } from "./columns/column-maker.ts";
import { BatchProgress } from "./journal/batch-progress.ts";
import type { Batch } from "./journal/journal.ts";
import { createRowStore } from "./row-store.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server that knows these settings, and keeps what each insert was told. */
function startServer(known: readonly string[]) {
  const server = {
    known,
    lookups: 0,
    inserts: [] as Record<string, string>[],
    fails: false,
    url: "",
  };
  const listener = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const parameters = Object.fromEntries(new URL(request.url).searchParams);
      const text = await request.text();
      const query = parameters.query ?? text;
      const headers = { "X-ClickHouse-Query-Id": parameters.query_id ?? "" };
      if (text.includes("system.settings") || parameters.query?.includes("system.settings")) {
        server.lookups++;
        return new Response(server.known.map((name) => `${JSON.stringify({ name })}\n`).join(""), { headers });
      }
      server.inserts.push({ ...parameters, query, bodyBytes: String(text.length) });
      return server.fails
        ? new Response("Code: 210. DB::Exception: gone. ", { status: 500, headers })
        : new Response("", { headers });
    },
  });
  server.url = `http://127.0.0.1:${listener.port}`;
  cleanups.push(() => listener.stop(true));
  return server;
}

function createBatch(rowCount = 1, more: Partial<Batch> = {}): Batch {
  const encoder = new RowEncoder();
  for (let row = 0; row < rowCount; row++) encoder.encode({ device_id: "a", event_type: "t" }, 1_000, 1_000);
  const rows = encoder.bytes();
  return {
    token: "t",
    rowCount,
    bytes: rows.length,
    sinceMs: 0,
    epoch: 1,
    body: () => Readable.from([rows]),
    place: null,
    ownStates: true,
    progress: new BatchProgress(),
    record: () => undefined,
    ...more,
  };
}

function createStore(...urls: string[]) {
  const columns = createColumnMaker();
  const store = createRowStore({ urls, user: "default", password: "", database: "default" }, columns, 5_000);
  cleanups.push(() => store.close(), columns.stop);
  const insert = (token: string, rowCount = 1, more: Partial<Batch> = {}) =>
    store.insert({ batch: createBatch(rowCount, more), range: null }, token, 5_000);
  return { store, insert };
}

test("a release that knows deduplicate_insert is told it, one that does not is not", async () => {
  for (const [known, expected] of [
    [["deduplicate_insert"], "enable"],
    [[], undefined],
  ] as const) {
    const server = startServer(known);
    const { insert } = createStore(server.url);
    await insert("a");
    await insert("b");
    expect(server.inserts.map((told) => told.deduplicate_insert)).toEqual([expected, expected] as string[]);
    for (const told of server.inserts) expect(told).toMatchObject({ insert_deduplicate: "1", async_insert: "0" });
    expect(server.lookups).toBe(1);
  }
});

test("a server that comes back as another release, and another replica, are asked what they know", async () => {
  const [older, newer] = [startServer([]), startServer(["deduplicate_insert"])];
  const { store, insert } = createStore(older.url, newer.url);
  await insert("a");
  older.fails = true;
  await expect(insert("b")).rejects.toThrow("gone");
  store.failOver();
  await insert("b");
  expect(newer.inserts[0]).toMatchObject({ deduplicate_insert: "enable", insert_deduplication_token: "b" });
  Object.assign(older, { fails: false, known: ["deduplicate_insert"] });
  store.failOver();
  await insert("c");
  expect(older.inserts.at(-1)).toMatchObject({ deduplicate_insert: "enable", insert_deduplication_token: "c" });
});

test("a small batch goes in as rows, a large one by columns, and as rows one that a setting allowed once", async () => {
  const server = startServer([]);
  const { insert } = createStore(server.url);
  await insert("a", 3_499);
  await insert("b", 3_500);
  await insert("c", 3_500, { bytes: 2 ** 30 });
  const formats = server.inserts.map(({ query }) => /FORMAT (\w+)/.exec(query ?? "")?.[1]);
  expect(formats).toEqual(["RowBinary", "Native", "RowBinary"]);
  for (const { bodyBytes } of server.inserts) expect(Number(bodyBytes)).toBeGreaterThan(3_499);
});
