import { describe, expect, test } from "bun:test";
import { createRandom } from "../../base/random.ts";
import { createRingMemory, RingConsumer, RingProducer } from "./ring.ts";

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);

/** Bytes that only frame `number` has, so that a torn or repeated frame shows. */
function payload(number: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (number * 31 + index * 7) & 255);
}

describe(`ring (seed ${seed})`, () => {
  test("gives frames back whole and in order, over many wraps", () => {
    const random = createRandom(seed);
    const memory = createRingMemory(1 << 12);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    let pushed = 0;
    let read = 0;
    const sizes: { rows: number; meta: number }[] = [];
    while (read < 20_000) {
      if (random() < 0.55) {
        const size = { rows: Math.floor(random() * 700), meta: random() < 0.2 ? Math.floor(random() * 50) : 0 };
        if (producer.tryPush(payload(pushed, size.rows), pushed, pushed + 1, payload(pushed, size.meta))) {
          sizes.push(size);
          pushed++;
        }
      } else {
        for (let frame = consumer.next(); frame !== undefined; frame = consumer.next()) {
          const size = sizes[read] as { rows: number; meta: number };
          expect(frame.rowCount).toBe(read);
          expect(frame.epoch).toBe(read + 1);
          expect(Bun.hash(frame.rows)).toBe(Bun.hash(payload(read, size.rows)));
          expect(Bun.hash(frame.meta)).toBe(Bun.hash(payload(read, size.meta)));
          read++;
        }
        consumer.release();
      }
    }
    expect(pushed).toBeGreaterThanOrEqual(read);
  });

  test("never overwrites a frame that was read but not released", () => {
    const memory = createRingMemory(1 << 10);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    expect(producer.tryPush(payload(1, 400), 1, 1)).toBe(true);
    const frame = consumer.next();
    let more = 0;
    while (producer.tryPush(payload(2 + more, 200), 1, 1)) more++;
    expect(more).toBe(2);
    expect(frame?.rows).toEqual(payload(1, 400));
  });

  test("refuses a frame when it is full, and takes it after a release", () => {
    const memory = createRingMemory(1 << 10);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    while (producer.tryPush(payload(0, 100), 1, 1));
    expect(producer.usedBytes).toBeGreaterThan(900);
    expect(producer.tryPush(payload(0, 100), 1, 1)).toBe(false);
    while (consumer.next() !== undefined);
    expect(producer.tryPush(payload(0, 100), 1, 1)).toBe(false);
    consumer.release();
    expect(producer.usedBytes).toBe(0);
    expect(producer.tryPush(payload(0, 100), 1, 1)).toBe(true);
  });

  test("a frame larger than the ring is refused, not waited for", () => {
    const producer = new RingProducer(createRingMemory(1 << 10));
    expect(producer.tryPush(payload(0, 2000), 1, 1)).toBe(false);
  });

  test("a consumer does not go to sleep over a published frame", () => {
    const memory = createRingMemory(1 << 10);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    expect(consumer.trySleep()).toBe(true);
    expect(producer.takeSleeping()).toBe(true);
    expect(producer.takeSleeping()).toBe(false);
    producer.tryPush(payload(0, 10), 1, 1);
    expect(consumer.trySleep()).toBe(false);
    expect(producer.takeSleeping()).toBe(false);
  });

  test("between threads every frame arrives once, in order and whole", async () => {
    const memory = createRingMemory(1 << 16);
    const producer = new RingProducer(memory);
    const frames = 200_000;
    const worker = new Worker(new URL("../../testing/ring-verifier.ts", import.meta.url).href);
    const verdict = new Promise<string>((resolve) => {
      worker.onmessage = (event: MessageEvent<string>) => resolve(event.data);
    });
    worker.postMessage({ memory, frames });
    const random = createRandom(seed);
    for (let number = 0; number < frames; ) {
      const rows = payload(number, 8 + Math.floor(random() * 300));
      new DataView(rows.buffer).setUint32(0, rows.length, true);
      if (producer.tryPush(rows, number, number >>> 8)) number++;
      else await new Promise<void>((resolve) => setImmediate(resolve));
      if (producer.takeSleeping()) worker.postMessage("wake");
    }
    expect(await verdict).toBe("verified");
  });
});
