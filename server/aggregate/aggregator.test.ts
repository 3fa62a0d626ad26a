import { expect, test } from "bun:test";
import { hashDeviceId } from "../contract/row.ts";
import type { Pipeline, Update } from "../contract/stream.ts";
import { type Aggregator, createAggregator, type StoredAnswer } from "./aggregator.ts";
import { createRandom, SimulatedClickHouse, type SimulatedEvent } from "./simulation.ts";
import type { SecondRange } from "./stored-window.ts";

const pipeline: Pipeline = {
  accepted: 0,
  durable: 0,
  stored: 0,
  pending: 0,
  dead_lettered: 0,
  store_lag_seconds: 0,
  clickhouse: "ok",
};
const startMs = 1_767_225_600_000;

/** Lets everything that waits on resolved promises run. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

interface Batch {
  lastEpoch: number;
  events: SimulatedEvent[];
}

/** The service around an aggregator: a ring, a journal, a writer and a ClickHouse, each a list, moved by hand. */
class World {
  nowMs = startMs;
  readonly clickHouse = new SimulatedClickHouse();
  readonly aggregator: Aggregator;
  /** Accepted, not durable: in the ring. */
  readonly ring: { epoch: number; events: SimulatedEvent[] }[] = [];
  /** Durable, not sealed. */
  readonly journal: { epoch: number; events: SimulatedEvent[] }[] = [];
  readonly batches: Batch[] = [];
  readonly durable: SimulatedEvent[] = [];
  readonly errors: unknown[] = [];
  query: { ranges: readonly SecondRange[]; answer: StoredAnswer; resolve: (answer: StoredAnswer) => void } | null =
    null;
  publishedEpoch = 0;

  constructor(eventTypesMax = 100) {
    this.aggregator = createAggregator(
      {
        now: () => this.nowMs,
        queryStored: (ranges) => {
          if (this.query) throw new Error("asked twice at once");
          return new Promise((resolve) => {
            // What it answers is what is stored at this moment; when the answer arrives is another matter.
            this.query = { ranges, answer: this.clickHouse.answer(ranges), resolve };
          });
        },
        onError: (error) => this.errors.push(error),
        pause: async () => {
          await null;
        },
      },
      { eventTypesMax, aggregationIntervalMs: 2000 },
    );
  }

  accept(events: SimulatedEvent[]): void {
    const { aggregator } = this;
    for (const event of events) {
      const [a, b] = hashDeviceId(event.deviceId);
      aggregator.queue.push(aggregator.types.indexOf(event.eventType), event.second, event.value ?? Number.NaN, a, b);
    }
    this.ring.push({ epoch: aggregator.currentEpoch, events });
  }

  makeDurable(): void {
    const frame = this.ring.shift();
    if (!frame) return;
    this.aggregator.fold(frame.events.length, frame.epoch);
    this.journal.push(frame);
    this.durable.push(...frame.events);
  }

  refuse(): void {
    const frame = this.ring.shift();
    if (frame) this.aggregator.discard(frame.events.length);
  }

  close(): void {
    this.publishedEpoch = this.aggregator.closeEpoch() ?? this.publishedEpoch;
  }

  /** At an epoch's end: all frames of closed epochs that have left the ring, if none of them is still in it. */
  seal(): void {
    const inRing = this.ring[0]?.epoch ?? Number.POSITIVE_INFINITY;
    const lastEpoch = Math.min(this.publishedEpoch, inRing - 1);
    const frames = this.journal.filter((frame) => frame.epoch <= lastEpoch);
    if (frames.length === 0) return;
    this.journal.splice(0, frames.length);
    this.batches.push({ lastEpoch, events: frames.flatMap((frame) => frame.events) });
    this.aggregator.sealed(lastEpoch);
  }

  store(): void {
    const batch = this.batches.shift();
    if (!batch) return;
    this.clickHouse.events.push(...batch.events);
    this.clickHouse.storedEpoch = batch.lastEpoch;
    this.aggregator.stored(batch.lastEpoch);
  }

  async answer(ok = true): Promise<void> {
    const { query } = this;
    if (!query) return;
    this.query = null;
    query.resolve(ok ? query.answer : { ok: false });
    await settled();
  }

  update(limit = 1000): Update {
    return this.aggregator.buildUpdate(limit, pipeline);
  }

  inWindow(): SimulatedEvent[] {
    const from = Math.floor(this.nowMs / 1000) - 600;
    return this.durable.filter((event) => event.second >= from);
  }

  /** The view equals brute force over what is durable. */
  check(): void {
    const update = this.update();
    const expected = new Map<string, SimulatedEvent[]>();
    for (const event of this.inWindow()) {
      const list = expected.get(event.eventType) ?? [];
      list.push(event);
      expected.set(event.eventType, list);
    }
    const brief = (name: string, events: SimulatedEvent[]) => {
      const values = events.map((event) => event.value).filter((value) => value !== null);
      return {
        name,
        count: events.length,
        // Values are quarters, so sums are exact whatever the order.
        avg: values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length,
        min: values.length === 0 ? null : Math.min(...values),
        max: values.length === 0 ? null : Math.max(...values),
      };
    };
    expect(
      update.aggregations.map((row) => ({
        name: row.event_type,
        count: row.event_count,
        avg: row.avg_value,
        min: row.min_value,
        max: row.max_value,
      })),
    ).toEqual(
      [...expected]
        .map(([name, events]) => brief(name, events))
        .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1)),
    );
    const devices = new Set(this.inWindow().map((event) => event.deviceId));
    expect(update.totals.active_devices).toBe(devices.size);
    expect(this.errors).toEqual([]);
  }
}

const seeds = [1, 2, 3, 4, 5, 6, 7, 8, (Math.random() * 2 ** 31) | 0, (Math.random() * 2 ** 31) | 0];

test.each(seeds)("whatever happens in whatever order, the view is what is durable, once (seed %i)", async (seed) => {
  const random = createRandom(seed);
  const world = new World();
  const integer = (below: number) => Math.floor(random() * below);
  const event = (): SimulatedEvent => ({
    eventType: `type ${integer(6)}`,
    // Mostly now; sometimes old or ahead, up to what the door lets in.
    second: Math.floor(world.nowMs / 1000) + (random() < 0.8 ? -integer(3) : integer(950) - 650),
    value: random() < 0.2 ? null : (integer(4000) - 1000) / 4,
    deviceId: `device-${integer(40)}`,
  });
  const lag = random() < 0.5 ? 1 : 0.1;
  for (let step = 0; step < 1500; step++) {
    const choice = random();
    if (choice < 0.25) world.accept(Array.from({ length: 1 + integer(5) }, event));
    else if (choice < 0.45) world.makeDurable();
    else if (choice < 0.46) world.refuse();
    else if (choice < 0.55) world.close();
    else if (choice < 0.63) world.seal();
    else if (choice < 0.63 + 0.08 * lag) world.store();
    else if (choice < 0.75) await world.answer(random() < 0.8);
    else if (choice < 0.95) {
      world.nowMs += integer(1500);
      world.aggregator.tick();
    } else if (choice < 0.955) {
      world.nowMs += integer(300_000);
      world.aggregator.tick();
    }
    if (step % 5 === 0) world.check();
  }
  while (world.ring.length > 0) world.makeDurable();
  world.close();
  world.seal();
  while (world.batches.length > 0) world.store();
  for (let round = 0; round < 4; round++) {
    await world.answer();
    // Long enough for what has left the window to be forgotten too.
    world.nowMs += 6000;
    world.aggregator.tick();
    world.check();
  }
  await world.answer();
  world.check();
  // All is stored and asked for: nothing is pending any more.
  expect(world.aggregator.stats.pendingCells).toBe(0);
});
