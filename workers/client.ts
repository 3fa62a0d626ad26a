import type { SnapshotResult } from "./backup/snapshot.ts";
import type { ClickHouseAddress } from "./clickhouse-client.ts";
import type { FromWriter, ToWriter, WriterOptions } from "./protocol.ts";
import { RingProducer } from "./ring/ring.ts";

export type WriterEvents = { [K in FromWriter["type"]]?: (message: Extract<FromWriter, { type: K }>) => void };

export type WriterReady = Extract<FromWriter, { type: "ready" }>;

/** The main thread's end of the writer thread. */
export interface WriterClient {
  /** What an earlier run left. Rejects when the journal cannot be opened. */
  readonly ready: Promise<WriterReady>;
  readonly ring: RingProducer;
  /** Call after frames were pushed: wakes the thread if it sleeps. 20 ns when it does not, 1.5 µs when it does. */
  wake(): void;
  connect(address: ClickHouseAddress): void;
  /** RowBinary (or whatever the statement's FORMAT says), read when no insert was under way. */
  query(
    sql: string,
  ): Promise<{ ok: true; storedEpochs: readonly number[]; body: Uint8Array } | { ok: false; message: string }>;
  /** See `takeSnapshot`. The caller removes it, also one that comes too late for it. */
  snapshot(name: string): Promise<SnapshotResult>;
  recoveredTaken(): void;
  /** Resolves with the rows that stay in the journal. */
  stop(timeoutMs: number): Promise<number>;
}

/** Starts the thread; `events` hears of everything that it reports. */
export function startWriter(options: WriterOptions, events: WriterEvents): WriterClient {
  const worker = new Worker(new URL("./main.ts", import.meta.url).href, { name: "writer" });
  const ready = Promise.withResolvers<WriterReady>();
  const stopped = Promise.withResolvers<number>();
  const queries = new Map<number, (answer: Awaited<ReturnType<WriterClient["query"]>>) => void>();
  const snapshots = new Map<string, (result: SnapshotResult) => void>();
  let nextQuery = 1;
  const send = (message: ToWriter): void => worker.postMessage(message);

  worker.onmessage = (event: MessageEvent<FromWriter>) => {
    const message = event.data;
    switch (message.type) {
      case "answer":
        queries.get(message.id)?.({
          ok: true,
          storedEpochs: message.storedCuts ?? [message.storedEpoch],
          body: message.body,
        });
        queries.delete(message.id);
        break;
      case "no_answer":
        queries.get(message.id)?.({ ok: false, message: message.message });
        queries.delete(message.id);
        break;
      case "snapshot":
        snapshots.get(message.name)?.(message.result);
        snapshots.delete(message.name);
        break;
      case "failed":
        ready.reject(new Error(message.message));
        break;
      case "ready":
        ready.resolve(message);
        break;
      case "stopped":
        stopped.resolve(message.leftRows);
        break;
    }
    (events[message.type] as ((message: FromWriter) => void) | undefined)?.(message);
  };
  // A bug in the thread: the process must not go on acknowledging. The journal is safe; a restart recovers it.
  worker.onerror = (event) => {
    ready.reject(new Error(event.message));
    events.failed?.({ type: "failed", message: event.message });
  };

  send({ type: "start", options });
  const ring = new RingProducer(options.ring);
  return {
    ready: ready.promise,
    ring,
    wake() {
      if (ring.takeSleeping()) send({ type: "wake" });
    },
    connect: (address) => send({ type: "clickhouse", address }),
    query(sql) {
      const id = nextQuery++;
      return new Promise((resolve) => {
        queries.set(id, resolve);
        send({ type: "query", id, sql });
      });
    },
    snapshot(name) {
      send({ type: "snapshot", name });
      return new Promise((resolve) => snapshots.set(name, resolve));
    },
    recoveredTaken: () => send({ type: "recovered_taken" }),
    stop(timeoutMs) {
      send({ type: "stop", timeoutMs });
      return stopped.promise;
    },
  };
}
