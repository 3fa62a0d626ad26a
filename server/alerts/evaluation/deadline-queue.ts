/** What may be due: the queue writes the place of its entry here. */
export interface Timed {
  /** When it wants to be looked at; Infinity: never. The owner changes it and then calls `schedule`. */
  dueMs: number;
  /** When its entry in the queue says; Infinity: it has none. */
  queuedMs: number;
}

/**
 * A binary heap of deadlines. One that moves later costs nothing: its entry stays and, when it comes up, goes back with the new
 * time. So a device that reports every second moves its deadline without a touch of the heap.
 */
export class DeadlineQueue<T extends Timed> {
  readonly #times: number[] = [];
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  get nextMs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  /** Call after `item.dueMs` was changed. */
  schedule(item: T): void {
    if (item.dueMs >= item.queuedMs) return;
    item.queuedMs = item.dueMs;
    this.#push(item.dueMs, item);
  }

  /** The next item that is due at `nowMs`; its `dueMs` is Infinity from here on, until it is scheduled anew. */
  takeDue(nowMs: number): T | undefined {
    for (;;) {
      const time = this.#times[0];
      if (time === undefined || time > nowMs) return undefined;
      const item = this.#pop();
      // An entry that an earlier one has replaced.
      if (item.queuedMs !== time) continue;
      item.queuedMs = Number.POSITIVE_INFINITY;
      if (item.dueMs > nowMs) {
        if (item.dueMs !== Number.POSITIVE_INFINITY) this.schedule(item);
        continue;
      }
      item.dueMs = Number.POSITIVE_INFINITY;
      return item;
    }
  }

  #push(time: number, item: T): void {
    const times = this.#times;
    const items = this.#items;
    let at = times.length;
    times.push(time);
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = times[parent] as number;
      if (above <= time) break;
      times[at] = above;
      items[at] = items[parent] as T;
      at = parent;
    }
    times[at] = time;
    items[at] = item;
  }

  #pop(): T {
    const times = this.#times;
    const items = this.#items;
    const top = items[0] as T;
    const time = times.pop() as number;
    const item = items.pop() as T;
    const size = items.length;
    if (size === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && (times[child + 1] as number) < (times[child] as number)) child++;
      if ((times[child] as number) >= time) break;
      times[at] = times[child] as number;
      items[at] = items[child] as T;
      at = child;
    }
    times[at] = time;
    items[at] = item;
    return top;
  }
}
