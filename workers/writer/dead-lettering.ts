import { decodeRow, RowBinaryReader } from "../../contract/row.ts";
import type { Batch, RowRange } from "../journal/journal.ts";
import { type Attempts, type AttemptsDeps, StopRequested } from "./attempts.ts";
import type { DeadLetterFile } from "./dead-letter.ts";
import type { Failure } from "./failure.ts";

export interface DeadLetteringDeps extends AttemptsDeps {
  readonly deadLetters: DeadLetterFile;
}

const letterId = (batch: Batch, row: number): string => `${batch.token}:${row}`;

/** Puts rows that ClickHouse refuses aside, once each, whatever crashes meanwhile; inserting waits while that cannot be done. */
export class DeadLettering {
  /** Why it cannot; null while it can. */
  failure: string | null = null;
  readonly #deps: DeadLetteringDeps;
  readonly #attempts: Attempts;

  constructor(deps: DeadLetteringDeps, attempts: Attempts) {
    this.#deps = deps;
    this.#attempts = attempts;
  }

  has(batch: Batch, row: number): boolean {
    return this.#deps.deadLetters.has(letterId(batch, row));
  }

  countIn(batch: Batch, range: RowRange): number {
    let letters = 0;
    for (let row = range.from; row < range.to; row++) if (this.has(batch, row)) letters++;
    return letters;
  }

  /** `range`: of one row. */
  async put(batch: Batch, range: RowRange, refusal: Failure, stopping: () => boolean): Promise<void> {
    const { now, log } = this.#deps;
    const row = await this.#attempts.insist("a batch cannot be read", () => readRange(batch, range), stopping);
    const letter = {
      id: letterId(batch, range.from),
      at: new Date(now()).toISOString(),
      code: refusal.code,
      reason: refusal.message,
      event: decodeRow(new RowBinaryReader(row)),
    };
    for (let count = 1; !this.#tryWrite(letter); count++) {
      if (stopping()) throw new StopRequested();
      await this.#attempts.backOff(count);
    }
    const { device_id, event_type } = letter.event;
    log("warn", "an event was dead-lettered", { device_id, event_type, reason: refusal.message });
  }

  #tryWrite(letter: Parameters<DeadLetterFile["tryAppend"]>[0]): boolean {
    const { deadLetters, log, onStatus } = this.#deps;
    const before = this.failure;
    try {
      this.failure = deadLetters.tryAppend(letter)
        ? null
        : "the dead-letter directory is full (DEAD_LETTER_MAX_BYTES); replay or remove letters";
    } catch (error) {
      this.failure = `dead letters cannot be written: ${String(error)}`;
    }
    if (this.failure !== null) {
      this.#attempts.setError(this.failure);
      if (this.failure !== before) log("error", this.failure);
    }
    if (this.failure !== before) onStatus();
    return this.failure === null;
  }
}

async function readRange(batch: Batch, range: RowRange): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of batch.body(range) as AsyncIterable<Uint8Array>) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}
