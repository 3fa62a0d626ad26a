import { blockSeconds } from "../server/live-view/cells.ts";
import { shardEpochs } from "../server/live-view/epoch.ts";
import { gamma } from "../server/live-view/log-histogram.ts";
import type { StoredAnswer } from "../server/live-view/rollup-refresher.ts";
import type { SecondRange } from "../server/live-view/stored-window.ts";

/** For tests: a ClickHouse that is a list. */

export interface SimulatedEvent {
  eventType: string;
  second: number;
  value: number | null;
  deviceId: string;
}

/** Answers `buildRollupQuery` as ClickHouse would, byte for byte in form. */
export class SimulatedClickHouse {
  readonly events: SimulatedEvent[] = [];
  storedEpoch = 0;

  answer(ranges: readonly SecondRange[]): StoredAnswer {
    const groups = new Map<string, SimulatedEvent[]>();
    for (const event of this.events) {
      if (!ranges.some(([from, to]) => event.second >= from && event.second < to)) continue;
      const key = `${Math.floor(event.second / blockSeconds)} ${event.eventType}`;
      const group = groups.get(key) ?? [];
      group.push(event);
      groups.set(key, group);
    }
    const writer = new ByteWriter();
    const blockOf = (key: string) => Number(key.slice(0, key.indexOf(" ")));
    for (const key of [...groups.keys()].sort((a, b) => blockOf(a) - blockOf(b))) {
      const events = groups.get(key) as SimulatedEvent[];
      writer.uint32(blockOf(key));
      writer.string(key.slice(key.indexOf(" ") + 1));
      const seconds = Map.groupBy(events, (event) => event.second);
      writer.length(seconds.size);
      for (const [second, ofSecond] of seconds) {
        const values = ofSecond.map((event) => event.value).filter((value) => value !== null);
        writer.uint32(second);
        writer.uint64(ofSecond.length);
        writer.uint64(values.length);
        writer.float64(values.reduce((sum, value) => sum + value, 0));
        writer.float64(values.length ? Math.min(...values) : Number.NaN);
        writer.float64(values.length ? Math.max(...values) : Number.NaN);
      }
      writer.sketch(events.map((event) => event.value).filter((value) => value !== null));
    }
    return { ok: true, storedEpochs: shardEpochs([this.storedEpoch]), body: writer.bytes() };
  }
}

export class ByteWriter {
  readonly #bytes: number[] = [];

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  length(value: number): void {
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.#bytes.push((rest % 128) | 128);
    this.#bytes.push(rest);
  }

  uint32(value: number): void {
    this.#bytes.push(...new Uint8Array(new Uint32Array([value]).buffer));
  }

  uint64(value: number): void {
    this.uint32(value % 2 ** 32);
    this.uint32(Math.floor(value / 2 ** 32));
  }

  float64(value: number): void {
    this.#bytes.push(...new Uint8Array(new Float64Array([value]).buffer));
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.length(bytes.length);
    this.#bytes.push(...bytes);
  }

  /** `quantilesDDState` of a Nullable argument, sparse bins. */
  sketch(values: readonly number[]): void {
    this.#bytes.push(1, 2);
    this.float64(gamma);
    this.float64(0);
    this.#bytes.push(1);
    this.#store(values.filter((value) => value > 0));
    this.#bytes.push(3);
    this.#store(values.filter((value) => value < 0).map((value) => -value));
    this.#bytes.push(4);
    this.float64(values.filter((value) => value === 0).length);
  }

  #store(magnitudes: readonly number[]): void {
    const bins = Map.groupBy(magnitudes, (magnitude) => Math.floor(Math.log(magnitude) / Math.log(gamma)));
    this.#bytes.push(4);
    this.length(bins.size);
    let previous = 0;
    for (const key of [...bins.keys()].sort((a, b) => a - b)) {
      const delta = key - previous;
      this.length(delta >= 0 ? delta * 2 : -delta * 2 - 1);
      this.float64((bins.get(key) as number[]).length);
      previous = key;
    }
  }
}
