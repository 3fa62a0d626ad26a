import type { Lifecycle } from "./lifecycle.ts";
import type { SealedBatch } from "./sealing.ts";
import type { WriterDeps } from "./writer-deps.ts";

/** Rows older than this cannot be in the live window any more (ten minutes, and the skew allowed); batches are older by their age. */
const viewAgeMs = 16 * 60_000;

export interface RecoveredRowsDeps extends WriterDeps {
  readonly lifecycle: Lifecycle;
}

/**
 * The live view counts what an earlier run left, too: its rows go to the main thread, one batch after the other, and each
 * before it is inserted. A piece at a time: the next one waits for `taken`.
 */
export class RecoveredRows {
  readonly #deps: RecoveredRowsDeps;
  readonly #segmentMaxAgeMs: number;
  #taken = Promise.withResolvers<void>();

  constructor(deps: RecoveredRowsDeps, segmentMaxAgeMs: number) {
    this.#deps = deps;
    this.#segmentMaxAgeMs = segmentMaxAgeMs;
  }

  /** Begins at once and runs ahead of the inserts, which may wait for ClickHouse for long. */
  replay(batches: readonly SealedBatch[]): void {
    let before = Promise.resolve();
    for (const sealed of batches) {
      if (sealed.ending !== "recovered") continue;
      before = before.then(() => this.#replay(sealed));
      sealed.replayed = before;
    }
  }

  /** The main thread has taken the last piece in. */
  taken(): void {
    this.#taken.resolve();
  }

  async #replay({ batch, epoch }: SealedBatch): Promise<void> {
    const { lifecycle, now, post } = this.#deps;
    if (now() - batch.sinceMs < viewAgeMs + this.#segmentMaxAgeMs && !lifecycle.isStopped) {
      for await (const chunk of batch.body() as AsyncIterable<Uint8Array>) {
        this.#taken = Promise.withResolvers();
        const rows = chunk.slice() as Uint8Array<ArrayBuffer>;
        post({ type: "recovered_rows", epoch, rows, last: false }, [rows.buffer]);
        await Promise.race([this.#taken.promise, lifecycle.stopped]);
      }
    }
    post({ type: "recovered_rows", epoch, rows: new Uint8Array(0), last: true });
  }
}
