import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../../testing/test-service.ts";
import { readAll } from "../../workers/clickhouse-client.ts";
import type { RedisConnection, RedisScript } from "../../workers/redis/connection.ts";
import { RedisWriter } from "../../workers/redis/redis-writer.ts";
import { append, commit, keyPrefix } from "../../workers/redis/scripts.ts";
import { createRingMemory, RingConsumer } from "../../workers/ring/ring.ts";
import type { RowStore } from "../../workers/row-store.ts";
import type { Inserter } from "../../workers/writer/inserter.ts";
import { connectTo, type Redis, redisProgram, startRedis } from "./rig.ts";

const options = {
  batchRows: 100,
  segmentMaxBytes: 1_000,
  flushIntervalMs: 0,
  segmentMaxAgeMs: 1_000,
  journalMaxBytes: 1_000_000,
};
const noStore = { close: async () => undefined } as unknown as RowStore;
const rowsMaxBytes = 1_000;

describe.skipIf(redisProgram === null)("a writer whose shard was another's for a while", () => {
  let redis: Redis;
  let connection: RedisConnection;
  const run = async (script: RedisScript, ...args: string[]): Promise<string> =>
    String(await connection.script(script, args));

  beforeAll(async () => {
    redis = await startRedis();
    connection = await connectTo(redis);
    await connection.call("SCRIPT", ["LOAD", commit.text]);
  });
  afterAll(async () => {
    connection.close();
    await redis.dispose();
  });

  test("goes on with what is there now: the batch it was at has been stored, and its rows are gone", async () => {
    const stored: string[] = [];
    let tries = 0;
    /** The lease goes to another, who commits, and comes back, all between two looks of the one who had it. */
    const stealAndReturn = (): Promise<unknown> =>
      Promise.all([
        connection.call("SET", [`${keyPrefix}lease:0`, "thief"]),
        run(commit, "thief", "0", "1", "0"),
        connection.call("SET", [`${keyPrefix}lease:0`, "owner", "PX", "3000"]),
      ]);
    // Tries until it has succeeded or is told to stop, as the real one does.
    const inserter: Inserter = {
      state: "ok",
      retries: 0,
      lastError: null,
      deadLetterFailure: null,
      diskShortage: null,
      probe: async () => undefined,
      async store(batch, stopping) {
        while (!stopping()) {
          if (++tries === 1) {
            await stealAndReturn();
            continue;
          }
          try {
            stored.push(new TextDecoder().decode(await readAll(batch.body(), rowsMaxBytes)));
            return { deadLettered: 0, attempts: 1 };
          } catch {
            await Bun.sleep(10);
          }
        }
        return undefined;
      },
    };
    const writer = new RedisWriter(
      {
        ring: new RingConsumer(createRingMemory(1 << 12)),
        now: Date.now,
        post: () => undefined,
        log: () => undefined,
        randomId: () => "journal",
      },
      { url: redis.url, instance: "owner", shards: 1, inserts: true },
      options,
    );
    await writer.ready;
    const put = (number: string, rows: string): Promise<string> =>
      run(append, "journal", "other", number, "1000000", "100", "1000", "1000", "0", "0", "1", "u", rows);
    expect(await put("1", "first")).toStartWith("ok ");
    writer.connect(noStore, () => inserter);
    await until("the first batch to be another's", () => tries > 1);
    expect(await put("2", "second")).toStartWith("ok ");
    await until("the second batch to be stored", () => stored.length > 0);
    expect(stored).toEqual(["second"]);
    expect(await writer.stop(1_000)).toBe(0);
  });
});
