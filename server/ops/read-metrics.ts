import { Counter, Gauge, type Registry } from "prom-client";

/** Metrics whose values are kept elsewhere and read when somebody asks. */
export class ReadMetrics {
  readonly #registers: Registry[];

  constructor(registry: Registry) {
    this.#registers = [registry];
  }

  counter(name: string, help: string, read: () => number): void {
    // What was accepted and then refused by the disk is taken back; a counter does not go back.
    let highest = 0;
    new Counter({
      name,
      help,
      registers: this.#registers,
      collect() {
        highest = Math.max(highest, read());
        this.reset();
        this.inc(highest);
      },
    });
  }

  /** One counter for each value of a label. */
  counters<L extends string>(name: string, help: string, label: L, read: () => Iterable<[string, number]>): void {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: this.#registers,
      collect() {
        this.reset();
        for (const [value, count] of read()) this.inc({ [label]: value } as Record<L, string>, count);
      },
    });
  }

  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: this.#registers,
      collect() {
        this.set(read());
      },
    });
  }
}
