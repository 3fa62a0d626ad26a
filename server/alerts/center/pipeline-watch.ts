import type { Signal } from "../../../contract/alerts.ts";
import type { CompiledRule } from "../evaluation/compiled-rule.ts";
import type { Evaluator } from "../evaluation/evaluator.ts";

/** What the pipeline says of itself now. Counters only ever grow. */
export interface PipelineReading {
  readonly storeLagSeconds: number;
  readonly isClickHouseUsable: boolean;
  readonly deadLetters: number;
  readonly journalUsed: number;
  readonly refused: number;
}

const deadLettersMs = 300_000;
const refusedMs = 60_000;
/** A service that starts has no ClickHouse yet, which is nobody's alarm for so long. */
const startMs = 60_000;

/** Rules of the pipeline: a reading a second. */
export class PipelineWatch {
  readonly #evaluator: Evaluator;
  readonly #startedMs: number;
  readonly #samples: { atMs: number; deadLetters: number; refused: number }[] = [];
  #rules: CompiledRule[] = [];
  #wasUsable = false;

  constructor(evaluator: Evaluator, nowMs: number) {
    this.#evaluator = evaluator;
    this.#startedMs = nowMs;
  }

  get isIdle(): boolean {
    return this.#rules.length === 0;
  }

  setRules(rules: Iterable<CompiledRule>): void {
    this.#rules = [...rules].filter(({ test }) => test.kind === "pipeline");
  }

  read(reading: PipelineReading, nowMs: number): void {
    this.#samples.push({ atMs: nowMs, deadLetters: reading.deadLetters, refused: reading.refused });
    while ((this.#samples[0]?.atMs ?? nowMs) < nowMs - deadLettersMs) this.#samples.shift();
    this.#wasUsable ||= reading.isClickHouseUsable;
    for (const rule of this.#rules) {
      if (rule.test.kind !== "pipeline") continue;
      const value = this.#valueOf(rule.test.signal, reading, nowMs);
      this.#evaluator.judge(rule, null, value > rule.test.above, value, nowMs);
    }
  }

  #valueOf(signal: Signal, reading: PipelineReading, nowMs: number): number {
    switch (signal) {
      case "store_lag":
        return reading.storeLagSeconds;
      case "clickhouse":
        return reading.isClickHouseUsable || (!this.#wasUsable && nowMs < this.#startedMs + startMs) ? 0 : 1;
      case "dead_letters":
        return reading.deadLetters - (this.#samples[0]?.deadLetters ?? reading.deadLetters);
      case "journal_used":
        return reading.journalUsed;
      case "refused": {
        const first = this.#samples.find(({ atMs }) => atMs >= nowMs - refusedMs);
        return reading.refused - (first?.refused ?? reading.refused);
      }
    }
  }
}
