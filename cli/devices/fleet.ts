/** A fleet of simulated devices: which of them speaks next, and what it says. The same seed and times give the same events. */

import { createRandom } from "../../base/random.ts";
import type { Event } from "../../contract/event.ts";
import { battery, position, type SensorKind, status, wave } from "./value-models.ts";

interface DeviceKind {
  readonly name: string;
  readonly sensors: readonly SensorKind[];
}

const deviceKinds: readonly DeviceKind[] = [
  {
    name: "room",
    sensors: [
      wave({ eventType: "temperature", unit: "°C", mean: [19, 23], daily: 1.5, wander: 0.1, min: 5, max: 45 }),
      wave({ eventType: "humidity", unit: "%", mean: [35, 60], daily: -4, wander: 0.5, min: 5, max: 100 }),
      battery,
    ],
  },
  {
    name: "weather-station",
    sensors: [
      wave({ eventType: "temperature", unit: "°C", mean: [4, 18], daily: 6, wander: 0.2, min: -40, max: 50 }),
      wave({ eventType: "humidity", unit: "%", mean: [50, 85], daily: -12, wander: 0.8, min: 5, max: 100 }),
      wave({ eventType: "pressure", unit: "hPa", mean: [995, 1030], daily: 0.5, wander: 0.3, min: 940, max: 1060 }),
      battery,
    ],
  },
  {
    name: "machine",
    sensors: [
      wave({
        eventType: "vibration",
        unit: "mm/s",
        mean: [1, 4],
        wander: 0.2,
        spike: { chance: 0.01, height: 15 },
        min: 0,
        max: 60,
      }),
      wave({
        eventType: "temperature",
        unit: "°C",
        mean: [45, 75],
        daily: 3,
        wander: 0.5,
        spike: { chance: 0.002, height: 25 },
        min: 10,
        max: 140,
      }),
      wave({
        eventType: "power",
        unit: "kW",
        mean: [5, 40],
        daily: 3,
        wander: 1,
        spike: { chance: 0.005, height: 20 },
        min: 0,
        max: 120,
      }),
      status,
    ],
  },
  {
    name: "vehicle",
    sensors: [
      position,
      wave({ eventType: "speed", unit: "km/h", mean: [30, 80], daily: -10, wander: 4, min: 0, max: 130 }),
      wave({ eventType: "signal_strength", unit: "dBm", mean: [-95, -65], wander: 2, min: -120, max: -40 }),
      battery,
      status,
    ],
  },
];

const firmwares = ["2.3.1", "2.4.0", "2.4.2", "3.0.0"];
const flakyShare = 0.1;

/** When a device is not heard: for a part of each period. Devices that are always heard have none. */
interface Silence {
  readonly periodMs: number;
  readonly silentMs: number;
  readonly offsetMs: number;
}

interface Device {
  readonly id: string;
  readonly sensors: readonly { readonly kind: SensorKind; readonly next: ReturnType<SensorKind["create"]> }[];
  readonly metadata: readonly Record<string, string>[];
  readonly silence: Silence | null;
  nextSensor: number;
}

/** So many devices stop at once, `fromMs` after the start, and come back `forMs` later. */
export interface Outage {
  /** 0 to 1. */
  readonly fraction: number;
  readonly fromMs: number;
  readonly forMs: number;
}

export interface Fleet {
  /**
   * One event at this time; devices take turns, and so do the sensors of each. Flaky devices are passed over while they
   * are silent. `null` when it is the turn of a device that an outage has stopped: its event is missing, as in a real
   * fleet, and the other devices keep their pace.
   */
  next(epochMs: number): Event | null;
}

export interface FleetOptions {
  readonly devices: number;
  readonly seed: number;
  /** In the metadata of every event. */
  readonly run: string;
  /** Devices are spread over `site-1` to `site-N` evenly. */
  readonly sites: number;
  /** Counted from `startEpochMs`. With an outage nobody else is ever silent, so that its fraction is exact. */
  readonly outage?: (Outage & { readonly startEpochMs: number }) | undefined;
}

export function createFleet(options: FleetOptions): Fleet {
  /** A device is made at its first turn: a large fleet starts at once. */
  const devices: Device[] = [];
  const { outage } = options;
  const stopped = outage === undefined ? new Set<string>() : chooseDevices(options, outage.fraction);
  let turn = 0;

  function takeTurn(): Device {
    devices[turn] ??= createDevice(turn, options);
    const device = devices[turn]!;
    turn = (turn + 1) % options.devices;
    return device;
  }

  return {
    next(epochMs) {
      let device = takeTurn();
      // When all are silent the last one speaks all the same: the rate that was asked for is kept.
      for (let passed = 1; passed < options.devices && isSilent(device.silence, epochMs); passed++) device = takeTurn();
      if (outage !== undefined && isDuring(outage, epochMs) && stopped.has(device.id)) return null;
      const sensor = device.sensors[device.nextSensor]!;
      const metadata = device.metadata[device.nextSensor]!;
      device.nextSensor = (device.nextSensor + 1) % device.sensors.length;
      const value = sensor.next(epochMs);
      return {
        device_id: device.id,
        event_type: sensor.kind.eventType,
        ...("float" in value ? { value_float: value.float } : { value_string: value.text }),
        metadata,
        timestamp: Math.floor(epochMs),
      };
    },
  };
}

export function isSilent(silence: Silence | null, epochMs: number): boolean {
  return silence !== null && (epochMs + silence.offsetMs) % silence.periodMs < silence.silentMs;
}

function isDuring(outage: NonNullable<FleetOptions["outage"]>, epochMs: number): boolean {
  const sinceMs = epochMs - outage.startEpochMs - outage.fromMs;
  return sinceMs >= 0 && sinceMs < outage.forMs;
}

/** Exactly this fraction of the fleet, drawn from all sites alike. */
function chooseDevices({ devices, seed }: FleetOptions, fraction: number): Set<string> {
  const random = createRandom(seed);
  const indices = Uint32Array.from({ length: devices }, (_, index) => index);
  const count = Math.round(devices * fraction);
  for (let at = 0; at < count; at++) {
    const other = at + Math.floor(random() * (devices - at));
    [indices[at], indices[other]] = [indices[other]!, indices[at]!];
  }
  return new Set(Array.from(indices.subarray(0, count), deviceId));
}

function deviceId(index: number): string {
  return `sim-${String(index).padStart(5, "0")}`;
}

function createDevice(index: number, { seed, run, sites, outage }: FleetOptions): Device {
  // Each device draws from a source of its own, so its values do not depend on how many others there are.
  const random = createRandom(seed ^ Math.imul(index + 1, 0x9e3779b1));
  const kind = deviceKinds[Math.floor(random() * deviceKinds.length)]!;
  const common = {
    run,
    kind: kind.name,
    site: `site-${1 + (index % sites)}`,
    firmware: firmwares[Math.floor(random() * firmwares.length)]!,
  };
  const periodMs = 60_000 + random() * 240_000;
  const silence = { periodMs, silentMs: periodMs * (0.15 + 0.35 * random()), offsetMs: random() * periodMs };
  return {
    id: deviceId(index),
    silence: random() < flakyShare && outage === undefined ? silence : null,
    sensors: kind.sensors.map((sensor) => ({ kind: sensor, next: sensor.create(random) })),
    metadata: kind.sensors.map((sensor) => ({ ...common, unit: sensor.unit })),
    nextSensor: Math.floor(random() * kind.sensors.length),
  };
}
