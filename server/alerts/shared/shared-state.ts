import { connectRedis, type RedisScript } from "../../../workers/redis/connection.ts";
import { closeGate, keyPrefix, openGate } from "../../../workers/redis/scripts.ts";
import type { Row, RowChange } from "../state/rows.ts";
import { LeaseLostError, type SharedCommit } from "./commit-queue.ts";
import * as scripts from "./scripts.ts";
import { tableNames } from "./shared-rows.ts";

const commandTimeoutMs = 1_000;
const reconnectDelayMs = 200;
const rowsPerPage = "2000";
const requestsPerLook = "16";
const requestsMax = "256";
const entriesPerLook = "1000";
const answerLivesMs = "30000";

const leaseMs = 3_000;
/** Inserts wait at most so long for the reading of the past at a takeover. */
const gateMs = 6_000;
const gateWaitMs = 10_000;
const gatePauseMs = 20;

export type Taken =
  | {
      readonly kind: "ours";
      readonly term: number;
      /** Since the holder before was heard of; null: there was none. */
      readonly goneMs: number | null;
    }
  | { readonly kind: "theirs"; readonly shownAt: number };

export interface ShardEntries {
  readonly shard: number;
  /** The newest entry that is stored and no longer in the journal. */
  readonly trimmed: string;
  readonly ids: readonly string[];
}

export interface Kept {
  /** Redis's clock, epoch milliseconds. */
  readonly nowMs: number;
  readonly requests: readonly string[];
  readonly shards: readonly ShardEntries[];
}

/** The alerts' part of Redis. Everything rejects when Redis is away; what the holder does, with `LeaseLostError` when it is none. */
export interface SharedState {
  readonly isUp: boolean;
  /** Without a word of the holder for so long another instance takes over. */
  readonly leaseMs: number;
  take(): Promise<Taken>;
  keep(term: number, places: ReadonlyMap<number, string>): Promise<Kept>;
  write(term: number, commit: SharedCommit): Promise<void>;
  show(term: number, text: string): Promise<void>;
  release(term: number): Promise<void>;
  load(): Promise<RowChange[]>;
  places(): Promise<Map<number, string>>;
  /** The newest entries that are stored and no longer in the journal. */
  trimmed(): Promise<ReadonlyMap<number, string>>;
  rowsOf(shard: number, id: string): Promise<Uint8Array | null>;
  /** No insert begins from here on; the newest stored entries. Null when the gate is not to be had: inserts are under way. */
  openGate(): Promise<ReadonlyMap<number, string> | null>;
  /** False: an insert may have begun since it was opened. */
  closeGate(): Promise<boolean>;
  shown(): Promise<string | null>;
  ask(request: string): Promise<void>;
  answer(id: string, text: string): Promise<void>;
  answerTo(id: string): Promise<string | null>;
  close(): void;
}

export function connectSharedState(options: { readonly url: string; readonly instance: string }): SharedState {
  const { instance } = options;
  // Of the journal; the first taking of the lease tells.
  let shards = 1;
  const redis = connectRedis({
    url: options.url,
    commandTimeoutMs,
    reconnectDelayMs,
    onUp: () => undefined,
    // The journal's own connection says that Redis is away.
    onDown: () => undefined,
  });
  const key = (name: string): string => `${scripts.alertKeys}${name}`;
  // Not this instance's own name: its writer thread reads under that.
  const reader = `${instance} alerts`;
  const gateEnd = [reader, "0", "1", "1000"];
  const holder = (term: number): string => `${instance} ${term}`;

  async function fenced(script: RedisScript, args: readonly string[]): Promise<unknown> {
    const answer = await redis.script(script, args);
    if (answer === "lost") throw new LeaseLostError("another instance has the lease");
    return answer;
  }

  async function hash(name: string): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (let cursor = "0"; ; ) {
      const page = (await redis.call("HSCAN", [name, cursor, "COUNT", rowsPerPage])) as [string, string[]];
      for (let at = 0; at < page[1].length; at += 2) found.set(page[1][at] as string, page[1][at + 1] as string);
      cursor = page[0];
      if (cursor === "0") return found;
    }
  }

  async function trimmed(): Promise<Map<number, string>> {
    const known = await hash(`${keyPrefix}trimmed`);
    return new Map(Array.from({ length: shards }, (_, shard) => [shard, known.get(String(shard)) ?? "0-0"]));
  }

  return {
    get isUp() {
      return redis.up;
    },
    leaseMs,
    async take() {
      const text = String(await redis.script(scripts.take, [instance, String(leaseMs)]));
      const [kind, number, goneMs, count] = text.split(" ");
      if (kind === "theirs") return { kind, shownAt: Number(number) };
      shards = Number(count);
      return { kind: "ours", term: Number(number), goneMs: Number(goneMs) < 0 ? null : Number(goneMs) };
    },
    async keep(term, places) {
      const wanted = [...places].flatMap(([shard, place]) => [String(shard), place]);
      const args = [holder(term), String(leaseMs), requestsPerLook, entriesPerLook, ...wanted];
      const [nowMs, requests, ...found] = (await fenced(scripts.keep, args)) as [number, string[], ...string[][]];
      const of = [...places.keys()];
      return {
        nowMs,
        requests,
        shards: found.map(([last = "0-0", ...ids], at) => ({ shard: of[at] as number, trimmed: last, ids })),
      };
    },
    async write(term, { rows, places }) {
      const stay = rows.filter(({ row }) => row !== null);
      const gone = rows.filter(({ row }) => row === null);
      await fenced(scripts.write, [
        holder(term),
        String(places.size),
        ...[...places].flatMap(([shard, id]) => [String(shard), id]),
        String(stay.length),
        ...stay.flatMap(({ table, key: of, row }) => [table, of, row ?? ""]),
        ...gone.flatMap(({ table, key: of }) => [table, of]),
      ]);
    },
    async show(term, text) {
      await fenced(scripts.show, [holder(term), text]);
    },
    async release(term) {
      await fenced(scripts.release, [holder(term)]);
    },
    async load() {
      const changes: RowChange[] = [];
      for (const table of tableNames) {
        const rows = await hash(key(`rows:${table}`));
        // Written by `write` alone.
        for (const row of rows.values()) changes.push({ table, put: JSON.parse(row) as Row });
      }
      return changes;
    },
    async places() {
      const known = await hash(key("places"));
      return new Map(Array.from({ length: shards }, (_, shard) => [shard, known.get(String(shard)) ?? "$"]));
    },
    trimmed,
    rowsOf: (shard, id) => redis.bytes(`${keyPrefix}r:${shard}:${id}`),
    async openGate() {
      const deadline = performance.now() + gateWaitMs;
      for (;;) {
        const text = String(await redis.script(openGate, [reader, String(gateMs), "100", String(shards)]));
        if (text.startsWith("at")) return trimmed();
        if (performance.now() > deadline) {
          await redis.script(closeGate, gateEnd);
          return null;
        }
        await Bun.sleep(gatePauseMs);
      }
    },
    closeGate: async () => (await redis.script(closeGate, gateEnd)) === "held",
    async shown() {
      const text = await redis.call("GET", [key("shown")]);
      return text === null ? null : String(text);
    },
    async ask(request) {
      await redis.script(scripts.ask, [requestsMax, request]);
    },
    async answer(id, text) {
      await redis.call("SET", [key(`answer:${id}`), text, "PX", answerLivesMs]);
    },
    async answerTo(id) {
      const text = await redis.call("GET", [key(`answer:${id}`)]);
      return text === null ? null : String(text);
    },
    close: () => redis.close(),
  };
}
