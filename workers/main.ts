/** Entry of the writer thread. */

import { randomBytes } from "node:crypto";
import { diskSpace } from "../base/disk-space.ts";
import { textOf } from "../base/error-text.ts";
import { trySnapshot } from "./backup/snapshot.ts";
import { createColumnMaker } from "./columns/column-maker.ts";
import { openDiskJournal } from "./journal/disk.ts";
import { realFiles } from "./journal/files.ts";
import type { FromWriter, RedisOptions, ToWriter, WriterOptions } from "./protocol.ts";
import { RingConsumer } from "./ring/ring.ts";
import { createRowStore, type RowStore } from "./row-store.ts";
import { openDeadLetterFile } from "./writer/dead-letter.ts";
import { diskShortage, gateByDisk } from "./writer/disk-room.ts";
import { createInserter, type Inserter } from "./writer/inserter.ts";
import { createWriter, type Writer } from "./writer/writer.ts";

declare const self: Worker;

const post = (message: FromWriter, transfer: Transferable[] = []): void => self.postMessage(message, transfer);
const log: Parameters<typeof createWriter>[0]["log"] = (level, message, fields = {}) =>
  post({ type: "log", level, message, fields });

/** A writer over either journal. */
interface OpenedWriter {
  readonly writer: Pick<Writer, "wake" | "query" | "pause" | "postStatus" | "stop">;
  /** The same, where it has an earlier run's rows to tell of, and asks for counts. */
  readonly onDisk: Writer | null;
  readonly snapshot: (name: string, database: string) => void;
  readonly connect: (store: RowStore, createInserter: () => Inserter) => void;
  readonly found: Pick<Extract<FromWriter, { type: "ready" }>, "recovered" | "keys" | "shards">;
}

/** Loaded for this only: without REDIS_URL nothing of it is. */
async function openShared(redis: RedisOptions, options: WriterOptions): Promise<OpenedWriter> {
  const { RedisWriter } = await import("./redis/redis-writer.ts");
  const { refuseDiskJournal } = await import("./redis/refuse-disk-journal.ts");
  refuseDiskJournal(options.journalDirectory);
  const writer = new RedisWriter(
    { ring: new RingConsumer(options.ring), now: Date.now, post, log, randomId: () => randomBytes(8).toString("hex") },
    redis,
    options,
  );
  const shards = await writer.ready;
  return {
    writer,
    onDisk: null,
    connect: (store, create) => writer.connect(store, create),
    snapshot: (name) =>
      post({
        type: "snapshot",
        name,
        result: { ok: false, reason: "with REDIS_URL the journal is Redis's: back up Redis" },
      }),
    found: { recovered: [], keys: [], shards },
  };
}

async function openOnDisk(options: WriterOptions): Promise<OpenedWriter> {
  const { journal, keys } = await openDiskJournal({
    files: realFiles,
    directory: options.journalDirectory,
    maxBytes: options.journalMaxBytes,
    ownStatesRows: options.ownStatesRows,
    nowMs: Date.now,
    log,
  });
  const writer = createWriter(
    {
      ring: new RingConsumer(options.ring),
      journal,
      now: Date.now,
      monotonicNow: () => performance.now(),
      post,
      log,
    },
    options,
  );
  const gated = (inserter: Inserter): Inserter => {
    const { diskReserveBytes, dataDirectory } = options;
    if (diskReserveBytes === null) return inserter;
    return gateByDisk(inserter, {
      shortage: () => diskShortage(diskSpace(dataDirectory), journal.bytes, diskReserveBytes),
      pause: (ms) => writer.pause(ms),
      log,
      onStatus: () => writer.postStatus(),
    });
  };
  return {
    writer,
    onDisk: writer,
    connect: (store, create) => writer.connect(store, gated(create())),
    snapshot(name, database) {
      writer.atQuietPoint(async ({ client }) => {
        const result = await trySnapshot({ client, now: Date.now, journal }, { ...options, database }, name);
        post({ type: "snapshot", name, result });
      });
    },
    found: { recovered: journal.sealed.map((batch) => batch.rowCount), keys, shards: 1 },
  };
}

async function start(options: WriterOptions): Promise<(message: ToWriter) => void> {
  const deadLetters = openDeadLetterFile(options.deadLetterDirectory, options.deadLetterMaxBytes, () => new Date());
  const columns = createColumnMaker();
  let database = "default";
  const { writer, onDisk, connect, snapshot, found } = await (options.redis
    ? openShared(options.redis, options)
    : openOnDisk(options));
  post({ type: "ready", ...found, deadLetters: deadLetters.count });
  writer.wake();

  return (message) => {
    switch (message.type) {
      case "wake":
        return writer.wake();
      case "query":
        return writer.query(message.id, message.sql);
      case "snapshot":
        return snapshot(message.name, database);
      case "recovered_taken":
        return onDisk?.recoveredTaken();
      case "clickhouse": {
        database = message.address.database;
        const store = createRowStore(message.address, columns, options.insertTimeoutMs);
        return connect(store, () =>
          createInserter(
            {
              store,
              deadLetters,
              log,
              now: Date.now,
              random: Math.random,
              pause: (ms) => writer.pause(ms),
              onStatus: () => writer.postStatus(),
            },
            { ...options, database: message.address.database, cluster: message.address.cluster ?? null },
          ),
        );
      }
      case "stop":
        void writer.stop(message.timeoutMs).then((leftRows) => {
          columns.stop();
          deadLetters.close();
          post({ type: "stopped", leftRows });
          self.onmessage = null;
        });
    }
  };
}

let handle: Promise<(message: ToWriter) => void> | undefined;
self.onmessage = (event: MessageEvent<ToWriter>) => {
  const message = event.data;
  if (message.type === "start") {
    handle = start(message.options);
    handle.catch((error: unknown) => post({ type: "failed", message: textOf(error) }));
  } else {
    void handle?.then((take) => take(message));
  }
};
