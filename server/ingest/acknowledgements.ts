export type Durability =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: "journal_full" | "journal_failed"; readonly message: string };

const durable: Durability = { ok: true };

/**
 * Requests that wait for the writer thread, in the order of their frames; the thread reports whole frames, in that
 * order too. Bounded by the ring, which holds what they wait for.
 */
export class Acknowledgements {
  #rows: number[] = [];
  #settle: ((durability: Durability) => void)[] = [];
  #head = 0;

  get waiting(): number {
    return this.#rows.length - this.#head;
  }

  wait(rows: number): Promise<Durability> {
    return new Promise((resolve) => {
      this.#rows.push(rows);
      this.#settle.push(resolve);
    });
  }

  durable(rows: number): void {
    this.#take(rows, durable);
  }

  refused(rows: number, reason: "journal_full" | "journal_failed", message: string): void {
    this.#take(rows, { ok: false, reason, message });
  }

  #take(rows: number, durability: Durability): void {
    let left = rows;
    while (left > 0) {
      const count = this.#rows[this.#head];
      if (count === undefined || count > left) throw new Error("the writer reported rows that no request waits for");
      left -= count;
      this.#settle[this.#head]?.(durability);
      this.#head++;
    }
    // Amortised: each entry is moved at most once for each time the queue halves.
    if (this.#head > 1024 && this.#head * 2 > this.#rows.length) {
      this.#rows = this.#rows.slice(this.#head);
      this.#settle = this.#settle.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** What an accepted request came to. */
export interface Accepted {
  /** The body of its 202. */
  readonly answer: string;
  /** Its events are in ClickHouse once this epoch is; 0: there are none. Null: this instance cannot tell. */
  readonly epoch: number | null;
}

/** Stretches of epochs with dead letters that are remembered apart; past it, neighbours become one. */
const gapsMax = 256;

/** Requests with `?wait=stored`: until the batch of their epoch is in ClickHouse. */
export class StoredWaiters {
  readonly #waiting = new Set<{ epoch: number; settle: (stored: boolean) => void }>();
  /** Epochs whose batch had dead letters, in order: whose they were is not known, so nobody is told "stored". */
  readonly #gaps: { from: number; to: number }[] = [];
  #settledEpoch = 0;
  #recoveredEpoch = 0;
  #givenUp = false;

  /** Epochs up to this one are of an earlier run: in which of them a request's events are is not known. */
  recovered(lastEpoch: number): void {
    this.#recoveredEpoch = lastEpoch;
  }

  /** Resolves true when every row of the epoch is in ClickHouse, false when that is not known after `timeoutMs`. */
  wait(epoch: number | null, timeoutMs: number): Promise<boolean> {
    if (epoch === null || (this.#givenUp && epoch > this.#settledEpoch)) return Promise.resolve(false);
    if (epoch <= this.#settledEpoch) return Promise.resolve(this.#isComplete(epoch));
    return new Promise((resolve) => {
      const entry = {
        epoch,
        settle: (stored: boolean) => {
          clearTimeout(timer);
          this.#waiting.delete(entry);
          resolve(stored);
        },
      };
      const timer = setTimeout(() => entry.settle(false), timeoutMs);
      this.#waiting.add(entry);
    });
  }

  /** A batch that holds the epochs up to this one is settled; `complete`: none of its rows was dead-lettered. */
  stored(epoch: number, complete: boolean): void {
    if (epoch <= this.#settledEpoch) return;
    if (!complete) this.#addGap(this.#settledEpoch + 1, epoch);
    this.#settledEpoch = epoch;
    for (const entry of this.#waiting) if (entry.epoch <= epoch) entry.settle(this.#isComplete(entry.epoch));
  }

  /** Nothing will be confirmed any more, to nobody: some events were durable only just now, and are about to wait. */
  giveUp(): void {
    this.#givenUp = true;
    for (const entry of this.#waiting) entry.settle(false);
  }

  #addGap(from: number, to: number): void {
    const isRecovered = from <= this.#recoveredEpoch;
    this.#gaps.push({ from: isRecovered ? 1 : from, to: isRecovered ? Math.max(to, this.#recoveredEpoch) : to });
    const [first, second] = this.#gaps;
    if (this.#gaps.length > gapsMax && first && second) this.#gaps.splice(0, 2, { from: first.from, to: second.to });
  }

  #isComplete(epoch: number): boolean {
    return !this.#gaps.some(({ from, to }) => from <= epoch && epoch <= to);
  }
}
