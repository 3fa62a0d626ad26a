import type { ErrorCode } from "../../contract/error.ts";

/** What metrics and `/api/pipeline` read. */
export interface IngestCounts {
  /** Events that got, or will get, an answer of acceptance. */
  readonly accepted: number;
  readonly durable: number;
  /** The newest events found the journal full, and would again. */
  readonly journalFull: boolean;
  /** Requests that were refused. */
  readonly rejected: ReadonlyMap<ErrorCode, number>;
  /** The events in them, where they could be counted. */
  readonly rejectedEvents: ReadonlyMap<ErrorCode, number>;
}

/** The counters behind `IngestCounts`. */
export class IngestCounters implements IngestCounts {
  accepted = 0;
  durable = 0;
  readonly rejected = new Map<ErrorCode, number>();
  readonly rejectedEvents = new Map<ErrorCode, number>();
  readonly #isJournalFull: () => boolean;

  constructor(isJournalFull: () => boolean) {
    this.#isJournalFull = isJournalFull;
  }

  get journalFull(): boolean {
    return this.#isJournalFull();
  }

  refused(code: ErrorCode): void {
    this.rejected.set(code, (this.rejected.get(code) ?? 0) + 1);
  }

  refusedEvents(code: ErrorCode, events: number): void {
    this.rejectedEvents.set(code, (this.rejectedEvents.get(code) ?? 0) + events);
  }
}
