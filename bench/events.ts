import { createRandom } from "../base/random.ts";
import type { Event } from "../contract/event.ts";

/** Events that are sent together, with what must come out at the other end. */
export interface EventBatch {
  events: Event[];
  /** Every value is a multiple of 1/4, so that sums are exact in a double and a lost event always shows. */
  valueSum: number;
}

export interface Fleet {
  devices: number;
  eventTypes: readonly string[];
  metadataKeys: number;
  /** Whether a device sends its own clock (ISO 8601) or leaves the time to the server. */
  deviceTime: boolean;
}

/** Events of about 120 bytes of JSON: eight types, two metadata keys, no time of their own. */
export const plainFleet: Fleet = {
  devices: 10_000,
  eventTypes: ["temperature", "humidity", "pressure", "vibration", "voltage", "current", "flow_rate", "fan_speed"],
  metadataKeys: 2,
  deviceTime: false,
};

/** Events of about 285 bytes: many devices, many types, many metadata keys, and the device's own time. */
export const wideFleet: Fleet = {
  devices: 100_000,
  eventTypes: Array.from({ length: 500 }, (_, index) => `sensor.group-${index % 25}.channel-${index}`),
  metadataKeys: 8,
  deviceTime: true,
};

const metadataNames = ["site", "line", "firmware", "hardware", "unit", "room", "customer", "gateway"];

/**
 * The same batches for the same seed. Devices follow one another, so a batch no larger than the fleet holds each device
 * at most once: systems that overwrite a series' point of the same instant (InfluxDB) then lose nothing.
 */
export function createBatches(fleet: Fleet, options: { seed: number; batches: number; size: number }): EventBatch[] {
  const random = createRandom(options.seed);
  const startMs = Date.now();
  let device = 0;
  return Array.from({ length: options.batches }, () => {
    const events: Event[] = [];
    let valueSum = 0;
    for (let index = 0; index < options.size; index++) {
      const quarters = 40 + Math.floor(random() * 300);
      const event: Event = {
        device_id: `device-${String(device).padStart(5, "0")}`,
        event_type: fleet.eventTypes[Math.floor(random() * fleet.eventTypes.length)]!,
        value_float: quarters / 4,
        metadata: deviceMetadata(device, fleet.metadataKeys),
      };
      if (fleet.deviceTime) event.timestamp = new Date(startMs - Math.floor(random() * 60_000)).toISOString();
      events.push(event);
      valueSum += quarters / 4;
      device = (device + 1) % fleet.devices;
    }
    return { events, valueSum };
  });
}

function deviceMetadata(device: number, keys: number): Record<string, string> {
  const values = ["plant-", "", "fw-2.", "rev-", "u", "room-", "customer-", "gw-"];
  return Object.fromEntries(
    metadataNames
      .slice(0, keys)
      .map((name, index) => [name, `${values[index]}${(device * (index + 3)) % (7 + index * 9)}`]),
  );
}
