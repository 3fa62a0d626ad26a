import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createRandom } from "../../base/random.ts";
import { RowEncoder } from "../../contract/row.ts";
import { readAll } from "../../workers/clickhouse-client.ts";
import type { RedisConnection, RedisScript } from "../../workers/redis/connection.ts";
import { append, commit, identify, keyPrefix, take, tend } from "../../workers/redis/scripts.ts";
import { parseBatch } from "../../workers/redis/shard-batch.ts";
import { connectTo, type Redis, redisProgram, startRedis } from "./rig.ts";

const seed = Number(process.env.REDIS_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
const bodyMaxBytes = 1 << 26;

/** Rows of an append, each in bytes of its own. */
function encodeRows(names: readonly string[], padding: string): Uint8Array[] {
  return names.map((device_id) => {
    const encoder = new RowEncoder();
    encoder.encode({ device_id, event_type: "t", metadata: { padding } }, 1_000, 1_000);
    return encoder.bytes().slice();
  });
}

describe.skipIf(redisProgram === null)(`the rows of a batch of many appends (seed ${seed})`, () => {
  const random = createRandom(seed);
  const rows: Uint8Array[] = [];
  let redis: Redis;
  let connection: RedisConnection;
  let text = "";
  let names = 0;
  const unreadable: string[] = [];
  const run = async (script: RedisScript, ...args: (string | Uint8Array)[]): Promise<string> =>
    String(await connection.script(script, args));
  const batch = () =>
    parseBatch(
      {
        redis: connection,
        journalId: "journal",
        shard: 0,
        randomId: () => String(names++),
        record: async () => undefined,
        onUnreadable: (reason) => unreadable.push(reason),
      },
      text,
    );
  const logBytes = async (): Promise<number> =>
    Number(/aof_current_size:(\d+)/.exec(String(await connection.call("INFO", ["persistence"])))?.[1]);

  beforeAll(async () => {
    redis = await startRedis();
    connection = await connectTo(redis);
    await run(identify, "journal", "1");
    await run(tend, "writer", "60000", "1", "1", "0");
    // Enough small ones for several pages by number, large ones that are read alone, and some that fill a page by size.
    for (let number = 1; number <= 700; number++) {
      const large = number % 211 === 0;
      const padding = "x".repeat(large ? 300_000 : number > 400 && number < 420 ? 50_000 : 10);
      const added = encodeRows(Array.from({ length: large ? 2 : 1 + Math.floor(random() * 9) }, String), padding);
      rows.push(...added);
      const limits = ["1000000000", "1000000", "1000000000", "3600000", "0"];
      const answer = await run(
        append,
        ...["journal", "writer", String(number), ...limits, "0", String(added.length), "u"],
        Buffer.concat(added),
      );
      expect(answer).toStartWith("ok 0:1:");
    }
    text = (await run(take, "writer", "0", "1", "0", "1")).slice("batch ".length);
  }, 60_000);
  afterAll(async () => {
    connection.close();
    await redis.dispose();
  });

  test("are read in their order, all of them and of any range, and nothing of it goes into Redis's log", async () => {
    const whole = batch();
    expect(whole.rowCount).toBe(rows.length);
    const before = await logBytes();
    expect(Buffer.compare(await readAll(whole.body(), bodyMaxBytes), Buffer.concat(rows))).toBe(0);
    for (let round = 0; round < 50; round++) {
      const from = Math.floor(random() * rows.length);
      const to = from + 1 + Math.floor(random() * Math.min(rows.length - from, round % 2 === 0 ? 3 : rows.length));
      const found = await readAll(batch().body({ from, to }), bodyMaxBytes);
      expect([from, to, Buffer.compare(found, Buffer.concat(rows.slice(from, to)))]).toEqual([from, to, 0]);
    }
    // The removal of a page is all that is logged of it.
    expect((await logBytes()) - before).toBeLessThan(20_000);
    expect(await connection.call("KEYS", [`${keyPrefix}page:*`])).toEqual([]);
    expect(unreadable).toEqual([]);
  });

  test("are given up as soon as another writer has stored them, in the middle of a body, too", async () => {
    const body = batch().body();
    let chunks = 0;
    const read = (async () => {
      for await (const _ of body) if (++chunks === 1) expect(await run(commit, "writer", "0", "1", "0")).toBe("ok");
    })();
    await expect(read).rejects.toThrow(/another writer has stored/);
    expect(unreadable).toHaveLength(1);
    await expect(readAll(batch().body(), bodyMaxBytes)).rejects.toThrow("0 rows");
  });
});
