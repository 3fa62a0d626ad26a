import { expect, test } from "bun:test";
import { createRandom } from "../../base/random.ts";
import { hashDeviceId, RowEncoder } from "../../contract/row.ts";
import type { Pipeline, Update } from "../../contract/stream.ts";
import { ByteWriter, SimulatedClickHouse, type SimulatedEvent } from "../../testing/live-view-simulation.ts";
import { type Aggregator, createAggregator } from "./aggregator.ts";
import { type Epoch, epochOf, shardEpochs } from "./epoch.ts";
import { createRecoveredFold } from "./recovered-rows.ts";
import type { StoredAnswer } from "./rollup-refresher.ts";
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
  #nowMs = startMs;
  #elapsedMs = 0;
  readonly clickHouse = new SimulatedClickHouse();
  readonly aggregator: Aggregator;
  /** Accepted, not durable: in the ring. */
  readonly ring: { epoch: Epoch; events: SimulatedEvent[] }[] = [];
  /** Durable, not sealed. */
  readonly journal: { epoch: Epoch; events: SimulatedEvent[] }[] = [];
  readonly batches: Batch[] = [];
  readonly durable: SimulatedEvent[] = [];
  readonly errors: unknown[] = [];
  query: { ranges: readonly SecondRange[]; answer: StoredAnswer; resolve: (answer: StoredAnswer) => void } | null =
    null;
  publishedEpoch = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Forward is time that passes; backward, somebody sets the clock. */
  set nowMs(ms: number) {
    this.#elapsedMs += Math.max(0, ms - this.#nowMs);
    this.#nowMs = ms;
  }

  constructor(eventTypesMax = 100) {
    this.aggregator = createAggregator(
      {
        now: () => this.#nowMs,
        monotonicNow: () => this.#elapsedMs,
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
    this.aggregator.fold(frame.events.length, [frame.epoch]);
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
    this.aggregator.sealed(shardEpochs([lastEpoch]));
  }

  store(): void {
    const batch = this.batches.shift();
    if (!batch) return;
    this.clickHouse.events.push(...batch.events);
    this.clickHouse.storedEpoch = batch.lastEpoch;
    this.aggregator.stored(shardEpochs([batch.lastEpoch]));
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
    this.#checkQuantiles(update, expected);
    const devices = new Set(this.inWindow().map((event) => event.deviceId));
    expect(update.totals.active_devices).toBe(devices.size);
    expect(this.errors).toEqual([]);
  }

  /** Quantiles are by block, so only types with nothing in the expired seconds of the oldest block are comparable. */
  #checkQuantiles(update: Update, expected: Map<string, SimulatedEvent[]>): void {
    const from = Math.floor(this.nowMs / 1000) - 600;
    const inEdge = this.durable.filter((event) => event.second < from && event.second >= from - (from % 8));
    const edgeTypes = new Set(inEdge.map((event) => event.eventType));
    for (const row of update.aggregations) {
      if (edgeTypes.has(row.event_type)) continue;
      const values = (expected.get(row.event_type) ?? [])
        .map((event) => event.value)
        .filter((value) => value !== null)
        .sort((a, b) => a - b);
      if (values.length === 0) continue;
      for (const [value, rank] of [
        [row.p50, 0.5],
        [row.p95, 0.95],
        [row.p99, 0.99],
      ] as const) {
        const exact = values[Math.floor(rank * (values.length - 1))] as number;
        expect(Math.abs((value as number) - exact)).toBeLessThanOrEqual(Math.abs(exact) * 0.0101);
      }
    }
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

const nowSecondOf = (world: World) => Math.floor(world.nowMs / 1000);

function eventAt(second: number, eventType = "t", value: number | null = 1, deviceId = "d"): SimulatedEvent {
  return { eventType, second, value, deviceId };
}

async function runFor(world: World, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    world.nowMs += 1000;
    world.aggregator.tick();
    await world.answer();
  }
}

test("a long outage: memory stays bounded, nothing is lost, and the way back is exact at every step", async () => {
  const world = new World();
  const random = createRandom(5);
  let cells = 0;
  let partials = 0;
  // An hour of a batch every two seconds, none of them stored: 300 of them lie in the window.
  for (let batch = 0; batch < 1800; batch++) {
    for (let epoch = 0; epoch < 3; epoch++) {
      world.accept(
        Array.from({ length: 10 }, () =>
          eventAt(nowSecondOf(world) - Math.floor(random() * 300), `t${Math.floor(random() * 8)}`, batch),
        ),
      );
      world.makeDurable();
      world.close();
      world.aggregator.tick();
      world.nowMs += 667;
    }
    world.seal();
    await world.answer(false);
    cells = Math.max(cells, world.aggregator.stats.pendingCells);
    partials = Math.max(partials, world.aggregator.stats.pendingPartials);
    if (batch % 100 === 0) world.check();
  }
  expect(partials).toBeLessThanOrEqual(129);
  expect(cells).toBeLessThan(20_000);
  expect(world.batches.length).toBe(1800);
  // Queries are answered while batches are stored one by one, so partials that span several are met.
  while (world.batches.length > 0) {
    for (let stored = 0; stored < 11; stored++) world.store();
    world.nowMs += 700;
    world.aggregator.tick();
    if (random() < 0.5) await world.answer();
    world.check();
  }
  await runFor(world, 40);
  world.check();
  expect(world.aggregator.stats.pendingCells).toBe(0);
}, 20_000);

test("what others insert into ClickHouse is in the view within a minute, and what is dead-lettered leaves it", async () => {
  const world = new World();
  await runFor(world, 5);
  const foreign = [eventAt(nowSecondOf(world) - 300, "theirs", 5), eventAt(nowSecondOf(world) - 590, "theirs", 7)];
  world.clickHouse.events.push(...foreign);
  await runFor(world, 64);
  expect(world.update().aggregations[0]).toMatchObject({ event_type: "theirs", event_count: 1, avg_value: 5 });

  world.accept([eventAt(nowSecondOf(world) - 100, "mine"), eventAt(nowSecondOf(world) - 100, "mine")]);
  world.makeDurable();
  world.close();
  world.seal();
  expect(world.update().totals.event_count).toBe(3);
  // One of the two rows is refused by ClickHouse; the batch counts as stored.
  (world.batches[0] as Batch).events.pop();
  world.store();
  await runFor(world, 5);
  expect(world.update().totals.event_count).toBe(2);
});

test("events reported durable after their batch was answered are asked for at once, and never counted twice", async () => {
  const world = new World();
  await runFor(world, 1);
  for (const ago of [3, 200]) {
    const epoch = world.aggregator.currentEpoch;
    world.accept([eventAt(nowSecondOf(world) - ago)]);
    world.close();
    const frame = world.ring.shift() as (typeof world.ring)[number];
    world.clickHouse.events.push(...frame.events);
    world.clickHouse.storedEpoch = epoch;
    world.aggregator.stored([epoch]);
    await runFor(world, 3);
    // The block of the newer one was in the answer, that of the older one not.
    expect(world.update().totals.event_count).toBe(1);
    world.aggregator.fold(1, [epoch]);
    expect(world.update().totals.event_count).toBe(1);
    await runFor(world, 3);
    expect(world.update().totals.event_count).toBe(ago === 3 ? 1 : 2);
  }
});

test("while ClickHouse does not answer, nothing that was to be asked is forgotten", async () => {
  const world = new World();
  for (let ago = 0; ago < 600; ago += 5) world.clickHouse.events.push(eventAt(nowSecondOf(world) - ago));
  world.durable.push(...world.clickHouse.events);
  for (let round = 0; round < 5; round++) {
    world.nowMs += 2000;
    world.aggregator.tick();
    await world.answer(false);
  }
  expect(world.update().totals.event_count).toBe(0);
  world.nowMs += 2000;
  world.aggregator.tick();
  await world.answer();
  expect(world.update().totals.event_count).toBe(world.inWindow().length);
});

test("an answer that makes no sense changes nothing, is reported, and its blocks are asked for again", async () => {
  const world = new World();
  world.accept([eventAt(nowSecondOf(world) - 200)]);
  world.makeDurable();
  world.close();
  world.seal();
  world.store();
  world.nowMs += 2000;
  world.aggregator.tick();
  const { query } = world;
  world.query = null;
  query?.resolve({ ok: true, storedEpochs: shardEpochs([1]), body: new Uint8Array([1, 2, 3]) });
  await settled();
  expect(world.errors).toHaveLength(1);
  expect(world.aggregator.stats.rollupFailures).toBe(1);
  world.errors.length = 0;
  await runFor(world, 5);
  world.check();
  expect(world.aggregator.stats.pendingCells).toBe(0);
});

test("a clock set back: the window moves back with it, and ClickHouse fills in what the pending lack", async () => {
  const world = new World();
  world.accept([eventAt(nowSecondOf(world) - 10, "stored")]);
  world.makeDurable();
  world.close();
  world.seal();
  world.store();
  await runFor(world, 5);
  world.nowMs += 3_600_000;
  world.aggregator.tick();
  expect(world.update().totals.event_count).toBe(0);
  world.nowMs -= 3_600_000;
  world.accept([eventAt(nowSecondOf(world), "pending")]);
  world.makeDurable();
  expect(world.update().totals.event_count).toBe(1);
  await runFor(world, 3);
  world.check();
  expect(world.update().totals.event_count).toBe(2);
});

test("a clock set back by seconds: queries go on at their interval, and a dead letter leaves the view", async () => {
  const world = new World();
  await runFor(world, 5);
  world.accept([eventAt(nowSecondOf(world) - 20, "refused"), eventAt(nowSecondOf(world), "stored")]);
  world.makeDurable();
  world.close();
  world.seal();
  world.nowMs -= 18_000;
  const [batch] = world.batches;
  if (batch) batch.events = batch.events.filter(({ eventType }) => eventType !== "refused");
  world.store();
  await runFor(world, 3);
  expect(world.update().totals.event_count).toBe(1);
});

test("types past the limit count as one row, and places become free with the window", async () => {
  const world = new World(3);
  const now = () => nowSecondOf(world);
  world.accept(["a", "b", "c", "d", "e", "(other)"].map((name) => eventAt(now(), name)));
  world.makeDurable();
  const rows = () => world.update().aggregations.map((row) => [row.event_type, row.event_count]);
  expect(rows()).toEqual([
    ["(other)", 3],
    ["a", 1],
    ["b", 1],
    ["c", 1],
  ]);
  expect(world.aggregator.stats.typesOverflowed).toBe(2);
  // Still in the ring when its name has long left the window: the place must not go to another.
  await runFor(world, 2);
  world.nowMs += 500_000;
  world.accept([eventAt(now() + 300, "a")]);
  await runFor(world, 200);
  world.accept(["x", "y", "z"].map((name) => eventAt(now(), name)));
  while (world.ring.length > 0) world.makeDurable();
  expect(rows()).toEqual([
    ["(other)", 1],
    ["a", 1],
    ["x", 1],
    ["y", 1],
  ]);
});

test("rows that an earlier run left are pending under their own epoch, and are counted once after they are stored", async () => {
  const world = new World();
  const { aggregator } = world;
  const now = nowSecondOf(world);
  const events = Array.from({ length: 10_000 }, (_, index) =>
    eventAt(now - (index % 700), `t${index % 3}`, index % 5 === 0 ? null : index / 4, `d${index % 11}`),
  );
  const encoder = new RowEncoder();
  for (const event of events) {
    const input = {
      device_id: event.deviceId,
      event_type: event.eventType,
      value_float: event.value,
      value_string: "näh",
      metadata: { a: "b" },
    };
    encoder.encode(input, event.second * 1000 + 999, now * 1000);
  }
  aggregator.startAt(epochOf(2), 1);
  expect(aggregator.currentEpoch).toBe(epochOf(2));
  world.durable.push(...events);
  const rows = encoder.bytes();
  const pieceBytes = 4093;
  const folded = Promise.withResolvers<void>();
  let pieces = 1;
  const fold = createRecoveredFold({
    foldRows: (epoch, bytes) => aggregator.foldRows(epoch, bytes),
    taken: () => {
      if (--pieces === 0) folded.resolve();
    },
  });
  for (let at = 0; at < rows.length; at += pieceBytes, pieces++) {
    fold({ epoch: epochOf(1), rows: rows.slice(at, at + pieceBytes), last: false });
  }
  fold({ epoch: epochOf(1), rows: new Uint8Array(0), last: true });
  world.accept([eventAt(now, "live")]);
  world.makeDurable();
  await folded.promise;
  world.check();
  world.clickHouse.events.push(...events);
  world.clickHouse.storedEpoch = 1;
  aggregator.stored(shardEpochs([1]));
  await runFor(world, 3);
  world.check();
  expect(aggregator.stats.pendingCells).toBe(1);
});

test("figures of the update: rates, quantiles, nulls, order", () => {
  const world = new World();
  const now = nowSecondOf(world);
  world.nowMs += 500;
  world.accept([
    ...Array.from({ length: 95 }, (_, index) => eventAt(now - (index % 20), "b", index)),
    ...Array.from({ length: 95 }, () => eventAt(now - 100, "a", null)),
    eventAt(now, "huge", Number.MAX_VALUE),
    eventAt(now, "huge", Number.MAX_VALUE),
  ]);
  expect(world.update().totals.event_count).toBe(0);
  world.makeDurable();
  const { aggregations, totals } = world.update(2);
  // 50 of b's 95 events lie in the ten whole seconds behind; what the present second holds is not a rate yet.
  expect(totals).toEqual({ event_count: 192, rate: 5, active_devices: 1, event_types: 3 });
  const [a, b] = aggregations;
  expect(a).toEqual({
    event_type: "a",
    event_count: 95,
    avg_value: null,
    min_value: null,
    max_value: null,
    p50: null,
    p95: null,
    p99: null,
    rate: 0,
  });
  expect(b).toMatchObject({
    event_type: "b",
    event_count: 95,
    avg_value: 47,
    min_value: 0,
    max_value: 94,
    rate: 5,
  });
  expect(Math.abs((b?.p50 as number) - 47)).toBeLessThan(0.5);
  expect(Math.abs((b?.p99 as number) - 93)).toBeLessThan(1);
  const huge = world.update(3).aggregations[2];
  expect([huge?.avg_value, huge?.max_value]).toEqual([null, Number.MAX_VALUE]);
  expect(() => JSON.stringify(world.update())).not.toThrow();
});

test("a slow fleet that reports at the turn of the second reads its rate, whenever one looks", async () => {
  const world = new World();
  for (let second = 0; second < 30; second++) {
    world.accept(Array.from({ length: 15 }, () => eventAt(nowSecondOf(world), "slow")));
    world.makeDurable();
    for (const phaseMs of [50, 400, 950]) {
      world.nowMs = startMs + second * 1000 + phaseMs;
      world.aggregator.tick();
      if (second > 10) expect(world.update().totals.rate).toBe(15);
    }
    world.nowMs = startMs + (second + 1) * 1000;
  }
});

test("a tick says whether anything changed: events, their rates, their leaving; not the passing of time alone", async () => {
  const world = new World();
  world.aggregator.tick();
  await world.answer();
  world.aggregator.tick();
  expect(world.aggregator.tick()).toBe(false);
  world.accept([eventAt(nowSecondOf(world))]);
  expect(world.aggregator.tick()).toBe(false);
  world.makeDurable();
  expect(world.aggregator.tick()).toBe(true);
  expect(world.aggregator.tick()).toBe(false);
  const changes: number[] = [];
  for (let second = 1; second <= 620; second++) {
    world.nowMs += 1000;
    if (world.aggregator.tick()) changes.push(second);
    await world.answer();
  }
  expect(changes).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 601]);
});

test("devices: seeded from ClickHouse, exact up to the bound, ClickHouse's number past it", async () => {
  let nowMs = startMs;
  let stored = ["a", "b", "c"];
  let counted = 0;
  const aggregator = createAggregator(
    {
      now: () => nowMs,
      monotonicNow: () => nowMs,
      queryStored: async () => ({ ok: false }),
      async queryDevices(_, limit) {
        const writer = new ByteWriter();
        for (const id of stored.slice(0, limit)) {
          writer.string(id);
          writer.uint32(Math.floor(nowMs / 1000));
        }
        return { ok: true, body: writer.bytes() };
      },
      async countDevices() {
        counted++;
        return stored.length;
      },
      onError(error) {
        throw error;
      },
    },
    { eventTypesMax: 10, aggregationIntervalMs: 2000, devicesMax: 10 },
  );
  const active = () => aggregator.buildUpdate(1, pipeline).totals.active_devices;
  const run = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      nowMs += 1000;
      aggregator.tick();
      await settled();
    }
  };
  const see = (id: string) => {
    aggregator.queue.push(aggregator.types.indexOf("t"), Math.floor(nowMs / 1000), Number.NaN, ...hashDeviceId(id));
    aggregator.fold(1, shardEpochs([1]));
  };
  await run(1);
  expect(active()).toBe(3);
  see("a");
  see("d");
  expect(active()).toBe(4);

  stored = Array.from({ length: 25 }, (_, index) => `device ${index}`);
  await run(70);
  expect(active()).toBe(25);
  expect(aggregator.stats.devicesOverflowed).toBe(true);
  expect(counted).toBeGreaterThan(0);
  // The fleet shrinks: exact again.
  stored = ["a", "z"];
  await run(700);
  expect(active()).toBe(2);
  expect(aggregator.stats.devicesOverflowed).toBe(false);
});

test("stop: no further query, and the answer of the last one is ignored", async () => {
  const world = new World();
  world.nowMs += 2000;
  world.aggregator.tick();
  world.clickHouse.events.push(eventAt(nowSecondOf(world)));
  world.aggregator.stop();
  const { query } = world;
  world.query = null;
  query?.resolve(world.clickHouse.answer(query.ranges));
  await settled();
  world.nowMs += 10_000;
  world.aggregator.tick();
  expect(world.query).toBeNull();
  expect(world.update().totals.event_count).toBe(0);
});
