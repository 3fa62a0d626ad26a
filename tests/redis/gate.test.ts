import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../../testing/test-service.ts";
import type { RedisConnection, RedisScript } from "../../workers/redis/connection.ts";
import { append, closeGate, identify, openGate, take, tend } from "../../workers/redis/scripts.ts";
import { connectTo, type Redis, redisProgram, startRedis } from "./rig.ts";

const shards = "1";
const writerLeaseMs = "60000";
const readerLeaseMs = 500;

describe.skipIf(redisProgram === null)("the gate that readers of rollups close", () => {
  let redis: Redis;
  let connection: RedisConnection;
  const run = async (script: RedisScript, ...args: string[]): Promise<string> =>
    String(await connection.script(script, args));
  const takeNow = (): Promise<string> => run(take, "writer", "0", "1", "0", "0");
  const heartbeat = (): Promise<string> => run(tend, "reader", String(readerLeaseMs), shards, "0", "1");

  beforeAll(async () => {
    redis = await startRedis();
    connection = await connectTo(redis);
    await run(identify, "journal", shards);
    await run(tend, "writer", writerLeaseMs, shards, "1", "0");
    await run(append, "journal", "writer", "1", "1000000", "10", "1000", "1000", "0", "0", "1", "u", "row");
  });
  afterAll(async () => {
    connection.close();
    await redis.dispose();
  });

  test("no insert begins while a reader is heard of, however long it reads", async () => {
    expect(await run(openGate, "reader", String(readerLeaseMs), "0", shards)).toBe("at 0");
    const deadline = performance.now() + 2 * readerLeaseMs;
    while (performance.now() < deadline) {
      await heartbeat();
      expect(await takeNow()).toBe("gate");
    }
    expect(await run(closeGate, "reader", "1", "0", "1")).toBe("held");
  });

  test("writers have their turn for longer than the readers had theirs", async () => {
    const open = () => run(openGate, "reader", String(readerLeaseMs), "0", shards);
    await until("the rest of the one before", async () => (await open()).startsWith("at"));
    await Bun.sleep(200);
    const closingMs = performance.now();
    expect(await run(closeGate, "reader", "1", "2", "5000")).toBe("held");
    expect(await open()).toBe("rest");
    await until("the end of the rest", async () => (await open()).startsWith("at"));
    expect(performance.now() - closingMs).toBeGreaterThanOrEqual(400);
    await run(closeGate, "reader", "1", "0", "1");
  });

  test("a reader that died opens it once its time is over, and cannot have it back unnoticed", async () => {
    await until("the rest of the one before", async () =>
      (await run(openGate, "reader", String(readerLeaseMs), "0", shards)).startsWith("at"),
    );
    expect(await takeNow()).toBe("gate");
    await until("an insert to begin", async () => (await takeNow()).startsWith("batch "), 10 * readerLeaseMs);
    await heartbeat();
    expect(await run(closeGate, "reader", "1", "0", "1")).toBe("lost");
  });
});
