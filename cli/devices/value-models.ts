/** What simulated sensors say. A model is one sensor of one device: it has a state, and a random source of its own. */

export type SensorValue = { readonly float: number } | { readonly text: string };
/** The next value. `epochMs` never goes back. */
type Sensor = (epochMs: number) => SensorValue;

export interface SensorKind {
  readonly eventType: string;
  readonly unit: string;
  /** Draws the device's own character from `random`, and keeps it for its values. */
  create(random: () => number): Sensor;
}

const dayMs = 86_400_000;

interface Wave {
  readonly eventType: string;
  readonly unit: string;
  /** Each device has its own mean between these. */
  readonly mean: readonly [number, number];
  /** Half the distance between the coldest hour and the warmest. */
  readonly daily?: number;
  /** Standard deviation of one step of the random walk, which always drifts back to the mean. */
  readonly wander: number;
  /** Now and then a sudden jump that dies away. */
  readonly spike?: { readonly chance: number; readonly height: number };
  readonly min: number;
  readonly max: number;
}

/** Every value is a multiple of this, so that sums are exact in a double and one lost or doubled event always shows. */
export const valueStep = 1 / 16;
const quantize = (value: number) => Math.round(value / valueStep) * valueStep;

const meanReversion = 0.05;
const spikeDecay = 0.7;
/** Local time of day at which a daily curve is highest: three in the afternoon. */
const warmestDayShare = 15 / 24;

/** A mean of its own, a daily curve, a mean-reverting random walk, and spikes. */
export function wave(options: Wave): SensorKind {
  const { eventType, unit, daily = 0, spike, min, max } = options;
  return {
    eventType,
    unit,
    create(random) {
      const mean = options.mean[0] + random() * (options.mean[1] - options.mean[0]);
      let walk = 0;
      let excess = 0;
      return (epochMs) => {
        // Three uniform numbers are near enough to a normal one; their sum has a standard deviation of 1/2.
        walk += -meanReversion * walk + options.wander * 2 * (random() + random() + random() - 1.5);
        excess = spike && random() < spike.chance ? spike.height * (0.5 + random()) : excess * spikeDecay;
        const curve = daily * Math.cos(2 * Math.PI * (epochMs / dayMs - warmestDayShare));
        return { float: quantize(Math.min(max, Math.max(min, mean + curve + walk + excess))) };
      };
    },
  };
}

/** Falls from full to nearly empty within hours, then is charged at once. */
export const battery: SensorKind = {
  eventType: "battery",
  unit: "%",
  create(random) {
    const lifeMs = (2 + 10 * random()) * 3_600_000;
    const offset = random();
    return (epochMs) => ({ float: quantize(100 - 90 * ((epochMs / lifeMs + offset) % 1)) });
  },
};

const troubles = ["degraded", "fault", "maintenance"] as const;
const troubleChance = 0.01;
const repairChance = 0.2;

/** `ok`, seldom a trouble, which lasts a few events. */
export const status: SensorKind = {
  eventType: "status",
  unit: "state",
  create(random) {
    let state = "ok";
    return () => {
      if (state !== "ok") {
        if (random() < repairChance) state = "ok";
      } else if (random() < troubleChance) {
        state = troubles[Math.floor(random() * troubles.length)]!;
      }
      return { text: state };
    };
  },
};

/** A vehicle that turns a little at each step, somewhere between 35 and 60 degrees north; "latitude,longitude". */
export const position: SensorKind = {
  eventType: "position",
  unit: "deg",
  create(random) {
    let latitude = 35 + 25 * random();
    let longitude = -10 + 40 * random();
    let heading = 2 * Math.PI * random();
    return () => {
      heading += random() - 0.5;
      latitude = Math.min(60, Math.max(35, latitude + 0.0002 * Math.cos(heading)));
      longitude = Math.min(30, Math.max(-10, longitude + 0.0003 * Math.sin(heading)));
      return { text: `${latitude.toFixed(5)},${longitude.toFixed(5)}` };
    };
  },
};
