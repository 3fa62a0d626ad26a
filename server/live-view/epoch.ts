declare const brand: unique symbol;

/**
 * The number of an epoch in a shard's sequence, from 1 on. An epoch is one interval of the stream. A batch holds whole
 * epochs, and an answer of ClickHouse reaches up to the end of one.
 */
export type Epoch = number & { readonly [brand]: "epoch" };

/** Of each shard, by its number: an epoch of its own sequence; undefined where there is none. One machine is one shard. */
export type ShardEpochs = readonly (Epoch | undefined)[];

export function epochOf(value: number): Epoch {
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${value} is not an epoch`);
  return value as Epoch;
}

/** The writer thread's numbers, where 0 stands for none. */
export function shardEpochs(numbers: readonly number[]): ShardEpochs {
  return numbers.map((value) => (value === 0 ? undefined : epochOf(value)));
}

/** Whether `mark`, up to which something is true, has come to `epoch`. Undefined has come to none. */
export function covers(mark: Epoch | undefined, epoch: Epoch): boolean {
  return mark !== undefined && epoch <= mark;
}
