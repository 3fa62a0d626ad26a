/** An epoch is closed at least this often, however long the stream's interval: batches end between epochs. */
const epochMaxMs = 100;
/** Rows after which an epoch is closed at once; keeps batches close to BATCH_SIZE. */
const epochMaxRows = 65_536;

export interface EpochClock {
  /** So many rows were written into the current epoch. */
  written(rows: number): void;
  close(): void;
  stop(): void;
}

export interface EpochClockDeps {
  /** Ends the current epoch; null when nothing was written into it. */
  readonly closeEpoch: () => number | null;
  /** Tells the writer: it may seal a batch behind this epoch. */
  readonly onClosed: (epoch: number) => void;
}

/** Ends epochs, by time and by rows. */
export function createEpochClock(
  deps: EpochClockDeps,
  options: { readonly streamIntervalMs: number; readonly flushIntervalMs: number; readonly batchRows: number },
): EpochClock {
  const rowsMax = Math.min(epochMaxRows, options.batchRows);
  let rowsInEpoch = 0;

  function close(): void {
    rowsInEpoch = 0;
    const closed = deps.closeEpoch();
    if (closed !== null) deps.onClosed(closed);
  }

  const timer = setInterval(close, Math.min(epochMaxMs, options.streamIntervalMs, options.flushIntervalMs / 2));
  return {
    written(rows) {
      rowsInEpoch += rows;
      if (rowsInEpoch >= rowsMax) close();
    },
    close,
    stop: () => clearInterval(timer),
  };
}
