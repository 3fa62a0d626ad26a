import { expect, test } from "bun:test";
import { Value } from "typebox/value";
import { createRandom } from "../../base/random.ts";
import { Event } from "../../contract/event.ts";
import { createFleet, type FleetOptions, isSilent } from "./fleet.ts";
import { addTotals, totalsOf, totalsRecord } from "./totals.ts";
import { battery, position, status, valueStep, wave } from "./value-models.ts";

const startMs = Date.UTC(2026, 0, 1);
const seeds = [1, 2, 3];

type Options = Pick<FleetOptions, "devices" | "seed" | "outage"> & { readonly sites?: number };

function eventsOf(options: Options, count: number, stepMs = 10): Event[] {
  const fleet = createFleet({ sites: 5, ...options, run: "run" });
  return Array.from({ length: count }, (_, index) => fleet.next(startMs + index * stepMs)).filter(
    (event) => event !== null,
  );
}

test.each(seeds)("seed %d: the same seed gives the same events, each of which the service accepts", (seed) => {
  const events = eventsOf({ devices: 300, seed }, 3_000);
  expect(eventsOf({ devices: 300, seed }, 3_000)).toEqual(events);
  expect(eventsOf({ devices: 300, seed: seed + 100 }, 3_000)).not.toEqual(events);
  for (const event of events) expect(Value.Check(Event, event)).toBe(true);
  expect(new Set(events.map(({ event_type }) => event_type)).size).toBeGreaterThanOrEqual(8);
});

test("all sums are exact, whatever the order of addition", () => {
  const events = eventsOf({ devices: 100, seed: 5 }, 20_000);
  const forward = totalsOf(events);
  const pieces = totalsOf([]);
  for (let at = events.length; at > 0; at -= 7) addTotals(pieces, totalsOf(events.slice(Math.max(0, at - 7), at)));
  expect(totalsRecord(pieces)).toEqual(totalsRecord(forward));
  for (const { value_float } of events) expect(Number.isInteger((value_float ?? 0) / valueStep)).toBe(true);
});

test("a type without numbers has no sum, and counts all the same", () => {
  const text = { device_id: "d", event_type: "status", value_string: "ok" };
  expect(totalsRecord(totalsOf([text, text, { device_id: "d", event_type: "a", value_float: 0.5 }]))).toEqual({
    a: { count: 1, sum: 0.5 },
    status: { count: 2, sum: null },
  });
});

test("some devices go silent and come back; the others never miss a turn", () => {
  const devices = 200;
  const rounds = 600;
  const heard = new Map<string, number[]>();
  for (const event of eventsOf({ devices, seed: 11 }, devices * rounds, 1000 / devices)) {
    const times = heard.get(event.device_id) ?? [];
    times.push(Number(event.timestamp));
    heard.set(event.device_id, times);
  }
  expect(heard.size).toBe(devices);
  const longestGaps = [...heard.values()].map((times) =>
    Math.max(...times.slice(1).map((time, index) => time - times[index]!)),
  );
  const flaky = longestGaps.filter((gapMs) => gapMs > 8_000).length;
  expect(flaky).toBeGreaterThan(devices * 0.02);
  expect(flaky).toBeLessThan(devices * 0.25);
  for (const gapMs of longestGaps) expect(gapMs <= 2_000 || gapMs > 8_000).toBe(true);
});

test("a silence lasts its part of the period", () => {
  const silence = { periodMs: 100, silentMs: 30, offsetMs: 0 };
  expect([0, 29, 30, 99, 100, 130].map((ms) => isSilent(silence, ms))).toEqual([true, true, false, false, true, false]);
  expect(isSilent(null, 0)).toBe(false);
});

test("a fleet of one speaks at every turn, silent or not", () => {
  for (const seed of seeds) expect(eventsOf({ devices: 1, seed }, 500, 1000)).toHaveLength(500);
});

test("every site has as many devices, and each device tells its site, firmware, kind and unit", () => {
  const events = eventsOf({ devices: 100, seed: 3, sites: 4 }, 1_000);
  const sites = Map.groupBy(events, ({ metadata }) => metadata?.site);
  expect([...sites.keys()].sort()).toEqual(["site-1", "site-2", "site-3", "site-4"]);
  for (const group of sites.values()) {
    // A flaky device may be silent throughout.
    expect(new Set(group.map(({ device_id }) => device_id)).size).toBeWithin(20, 26);
  }
  for (const { metadata } of events) {
    expect(Object.keys(metadata ?? {}).sort()).toEqual(["firmware", "kind", "run", "site", "unit"]);
  }
});

test("in an outage exactly its fraction is missing, from its start to its end, and the others keep their pace", () => {
  const devices = 40;
  const outage = { fraction: 0.25, fromMs: 10_000, forMs: 5_000, startEpochMs: startMs };
  const events = eventsOf({ devices, seed: 7, outage }, devices * 20, 1000 / devices);
  const heardBetween = (fromMs: number, toMs: number) => {
    const during = events.filter(({ timestamp }) => {
      const sinceMs = Number(timestamp) - startMs;
      return sinceMs >= fromMs && sinceMs < toMs;
    });
    return { events: during.length, devices: new Set(during.map(({ device_id }) => device_id)).size };
  };
  expect(heardBetween(0, 10_000)).toEqual({ events: 400, devices: 40 });
  expect(heardBetween(10_000, 15_000)).toEqual({ events: 150, devices: 30 });
  expect(heardBetween(15_000, 20_000)).toEqual({ events: 200, devices: 40 });
  const all = { ...outage, fraction: 1, fromMs: 0 };
  expect(eventsOf({ devices, seed: 7, outage: all }, devices * 5, 1000 / devices)).toEqual([]);
});

test("a wave stays near its mean, within its bounds, and is higher in the afternoon than at night", () => {
  const kind = wave({ eventType: "t", unit: "u", mean: [10, 12], daily: 5, wander: 0.1, min: 8, max: 30 });
  const sensor = kind.create(createRandom(3));
  const values = Array.from({ length: 48 }, (_, half) => sensor(startMs + half * 1_800_000)).map((value) =>
    "float" in value ? value.float : Number.NaN,
  );
  expect(Math.min(...values)).toBe(8);
  expect(Math.max(...values)).toBeLessThan(20);
  expect(values[30]! - values[6]!).toBeGreaterThan(5);
});

test("a spike jumps at once and dies away", () => {
  const spike = { chance: 0.01, height: 50 };
  const kind = wave({ eventType: "t", unit: "u", mean: [1, 1], wander: 0, spike, min: 0, max: 200 });
  const sensor = kind.create(createRandom(9));
  const values = Array.from({ length: 2_000 }, () => sensor(startMs)).map((value) =>
    "float" in value ? value.float : 0,
  );
  const peak = values.indexOf(Math.max(...values));
  expect(values[peak]!).toBeGreaterThan(50);
  expect(values[peak + 1]!).toBeLessThan(values[peak]!);
  expect(values.filter((value) => value === 1).length).toBeGreaterThan(1_000);
});

test("a battery only falls between two charges; a status is one of four; a position is two coordinates", () => {
  const charge = battery.create(createRandom(4));
  const levels = Array.from({ length: 200 }, (_, index) => charge(startMs + index * 60_000)).map((value) =>
    "float" in value ? value.float : Number.NaN,
  );
  const rises = levels.slice(1).filter((level, index) => level > levels[index]!);
  expect(rises.length).toBeLessThanOrEqual(2);
  for (const level of rises) expect(level).toBeGreaterThan(99);
  const state = status.create(createRandom(4));
  const states = new Set(Array.from({ length: 5_000 }, () => JSON.stringify(state(startMs))));
  expect(states.size).toBe(4);
  const place = position.create(createRandom(4))(startMs);
  expect("text" in place && place.text).toMatch(/^\d\d\.\d{5},-?\d+\.\d{5}$/);
});
