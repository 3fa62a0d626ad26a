import { expect, test } from "bun:test";
import { RowEncoder } from "../../contract/row.ts";
import type { FromWriter } from "../protocol.ts";
import { createRingMemory, RingConsumer, RingProducer } from "../ring/ring.ts";
import { Lifecycle } from "../writer/lifecycle.ts";
import { Appender } from "./appender.ts";
import type { RedisConnection } from "./connection.ts";

/** Rows of an append stand behind the eight arguments about it and its shard's number. */
const rowCountAt = 9;

/** An appender over a Redis that answers when the test says so. */
async function createAppending() {
  const calls: { rows: number; answer: () => Promise<void> }[] = [];
  const redis = {
    up: true,
    call: async () => null,
    script: (_: unknown, args: readonly string[]) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const answer = async (): Promise<void> => {
        resolve(`ok 0:1:${calls.length}-0:u`);
        await promise;
      };
      calls.push({ rows: Number(args[rowCountAt]), answer });
      return promise;
    },
  } as unknown as RedisConnection;
  const memory = createRingMemory(1 << 20);
  const ring = new RingProducer(memory);
  const durable: number[] = [];
  const appender = new Appender(
    {
      redis,
      ring: new RingConsumer(memory),
      lifecycle: new Lifecycle(),
      instance: "one",
      now: Date.now,
      randomId: () => "id",
      post: (message: FromWriter) => void (message.type === "durable" && durable.push(message.rows)),
      log: () => undefined,
      onLost: () => undefined,
    },
    { journalMaxBytes: 1 << 30, batchRows: 1000, segmentMaxBytes: 1 << 20, segmentMaxAgeMs: 1000 },
  );
  await appender.up({ id: "journal", shards: 1 });
  const push = (padding = ""): void => {
    const encoder = new RowEncoder();
    encoder.encode({ device_id: "d", event_type: "t", metadata: { padding } }, 1_000, 1_000);
    if (!ring.tryPush(encoder.bytes(), 1, 1)) throw new Error("the ring is full");
    if (ring.takeSleeping()) appender.wake();
  };
  return { appender, calls, durable, push, rows: () => calls.map(({ rows }) => rows) };
}

test("appends go ahead of each other, four at a time, and are answered for in their order", async () => {
  const { appender, calls, durable, push, rows } = await createAppending();
  for (let event = 0; event < 6; event++) push();
  expect(rows()).toEqual([1, 1, 1, 1]);
  await calls[1]?.answer();
  expect(durable).toEqual([]);
  await calls[0]?.answer();
  expect(durable).toEqual([1, 1]);
  expect(rows()).toEqual([1, 1, 1, 1, 2]);
  for (const { answer } of calls) await answer();
  expect(durable).toEqual([1, 1, 1, 1, 2]);
  await appender.finish(1_000);
});
