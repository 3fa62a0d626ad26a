/**
 * Events from `send` to their acknowledgement, within a bound. A batch is a file, named by its number and its
 * Idempotency-Key; events are added to the newest until it is full or sent. Invariants:
 *
 * 1. A batch that was begun never changes, and it and its name are flushed before its first attempt. So an attempt after a
 *    crash repeats the one before it, and the service knows it by its key.
 * 2. A batch that was begun is never evicted: nobody knows whether the service has it, so it could be counted neither way.
 * 3. A file is removed after the counts that say why were written, and these name it: a crash in between counts once.
 */

/** Where batches are kept. All but `flush` has happened when it returns. */
export interface Store {
  /** What an earlier run left, oldest first. */
  recover(): { readonly batches: readonly StoredBatch[]; readonly counts: Counts | null };
  /** Adds to a batch, which is made when it is not there. The bytes that this took. */
  append(name: string, event: string): number;
  read(name: string): string[];
  /** Resolves once the batch would survive a power cut. */
  flush(name: string): Promise<void>;
  remove(name: string): void;
  writeCounts(counts: Counts): void;
  close(): void;
}

export interface StoredBatch {
  readonly name: string;
  readonly events: number;
  readonly bytes: number;
  /** Lines that are not what was written. */
  readonly damaged: number;
}

export interface Counts {
  acknowledged: number;
  evicted: number;
  refused: number;
  damaged: number;
  /** The batch whose end these counts are the first to tell. */
  settled: string | null;
}

interface Batch {
  readonly name: string;
  readonly number: number;
  events: number;
  bytes: number;
  /** Takes no more events. */
  sealed: boolean;
  begun: boolean;
}

export interface Spool {
  readonly counts: Readonly<Counts>;
  readonly queued: number;
  /** There is enough to send at once. */
  readonly due: boolean;
  /** Numbers of the oldest batch and the newest; batches settle in this order. */
  readonly oldest: number;
  readonly newest: number;
  append(event: string): void;
  /** The oldest batch, closed for further events; null when there is none. Rejects when the disk refuses. */
  begin(): Promise<{ readonly key: string; readonly events: readonly string[] } | null>;
  /** The oldest batch was answered; `refused` of its events will never be taken. */
  settle(refused: number): void;
  /** Flushes what was appended. */
  flush(): Promise<void>;
  close(): void;
}

interface SpoolOptions {
  readonly maxBytes: number;
  readonly batchEvents: number;
  readonly batchMaxBytes: number;
  readonly newKey: () => string;
  readonly onEvicted: (events: number, reason: string) => void;
}

/** Of one UTF-16 unit, at most. */
const utf8MaxBytes = 3;
const lineOverheadBytes = 10;

export function openSpool(store: Store, options: SpoolOptions): Spool {
  const recovered = recoverOrClose(store);
  const counts = recovered.counts ?? { acknowledged: 0, evicted: 0, refused: 0, damaged: 0, settled: null };
  // Never added to again: the last line may be torn. Any of them may have been sent.
  const batches = recovered.batches.map(
    ({ name, events, bytes }): Batch => ({ name, number: numberOf(name), events, bytes, sealed: true, begun: false }),
  );
  let newest = batches.at(-1)?.number ?? 0;
  let queued = batches.reduce((sum, batch) => sum + batch.events, 0);
  let bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0);
  counts.damaged += recovered.batches.reduce((sum, batch) => sum + batch.damaged, 0);
  if (batches[0] !== undefined) batches[0].begun = true;

  /** Ends a batch, which was counted by the caller. */
  function remove(batch: Batch): void {
    queued -= batch.events;
    bytes -= batch.bytes;
    batches.splice(batches.indexOf(batch), 1);
    counts.settled = batch.name;
    const written = tryWriteCounts();
    store.remove(batch.name);
    // On a full disk there is room now.
    if (!written) tryWriteCounts();
  }

  function tryWriteCounts(): boolean {
    try {
      store.writeCounts(counts);
      return true;
    } catch (error) {
      if (error instanceof Error) return false;
      throw error;
    }
  }

  function makeRoom(neededBytes: number): void {
    while (bytes + neededBytes > options.maxBytes) {
      const victim = batches.find(({ begun }) => !begun);
      if (victim === undefined) return;
      counts.evicted += victim.events;
      remove(victim);
      options.onEvicted(victim.events, `the spool is full (${options.maxBytes} bytes)`);
    }
  }

  /** The batch that the next event goes to. */
  function openBatch(neededBytes: number): Batch {
    const last = batches.at(-1);
    if (last !== undefined && !last.sealed && last.bytes + neededBytes <= options.batchMaxBytes) return last;
    newest++;
    const name = `${String(newest).padStart(10, "0")}-${options.newKey()}`;
    const batch = { name, number: newest, events: 0, bytes: 0, sealed: false, begun: false };
    batches.push(batch);
    return batch;
  }

  return {
    counts,
    get queued() {
      return queued;
    },
    get due() {
      return batches.length > 1 || batches[0]?.sealed === true;
    },
    get oldest() {
      return batches[0]?.number ?? newest + 1;
    },
    get newest() {
      return newest;
    },
    append(event) {
      const neededBytes = utf8MaxBytes * event.length + lineOverheadBytes;
      makeRoom(neededBytes);
      const batch = openBatch(neededBytes);
      try {
        const added = store.append(batch.name, event);
        batch.bytes += added;
        bytes += added;
        queued++;
        batch.events++;
        batch.sealed = batch.events >= options.batchEvents;
      } catch (error) {
        // A line may be half written: nothing is added behind it.
        batch.sealed = true;
        counts.evicted++;
        if (batch.events === 0) remove(batch);
        options.onEvicted(1, `the spool cannot be written: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
    async begin() {
      const batch = batches[0];
      if (batch === undefined) return null;
      batch.sealed = true;
      batch.begun = true;
      await store.flush(batch.name);
      const events = store.read(batch.name);
      // Fewer than were counted: the disk lost some meanwhile.
      counts.damaged += batch.events - events.length;
      queued -= batch.events - events.length;
      batch.events = events.length;
      return { key: batch.name.slice(batch.name.indexOf("-") + 1), events };
    },
    settle(refused) {
      const batch = batches[0];
      if (batch === undefined) return;
      counts.acknowledged += batch.events - refused;
      counts.refused += refused;
      remove(batch);
    },
    async flush() {
      const last = batches.at(-1);
      if (last !== undefined) await store.flush(last.name);
    },
    close() {
      tryWriteCounts();
      store.close();
    },
  };
}

function recoverOrClose(store: Store): ReturnType<Store["recover"]> {
  try {
    return store.recover();
  } catch (error) {
    store.close();
    throw error;
  }
}

/** 0 for a name that is no batch's. */
export function numberOf(name: string): number {
  return Number(/^(\d{10,15})-[0-9a-f]{32}$/.exec(name)?.[1] ?? 0);
}

/** For browsers, and for devices whose flash must not be written. */
export function createMemoryStore(): Store {
  const batches = new Map<string, string[]>();
  return {
    recover: () => ({ batches: [], counts: null }),
    append(name, event) {
      const events = batches.get(name) ?? [];
      batches.set(name, events);
      events.push(event);
      return event.length;
    },
    read: (name) => batches.get(name) ?? [],
    flush: () => Promise.resolve(),
    remove: (name) => void batches.delete(name),
    writeCounts: () => undefined,
    close: () => undefined,
  };
}
