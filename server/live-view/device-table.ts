/** Devices that are counted one by one; past it ClickHouse is asked how many there are. 32 MB of slots at most. */
export const devicesMax = 524_288;

const ringSeconds = 1024;
const secondMask = ringSeconds - 1;
const slotWords = 4;
const firstSlots = 1 << 10;
/** Slots looked at in one `sweep`: 30 µs, and a table at its maximum is swept in 13 s of ticks. */
const sweptSlots = 8192;
/** The table grows, or is cleared of the expired, past this share of its slots: linear probing stays at two looks. */
const fillMax = 0.6;

/** The unit in which the table keeps when a device was heard, on a clock that is never set; 32 bits of it are eight years. */
const receiptUnitMs = 62.5;

/** Never 0, which stands for "not heard". */
export const receiptOf = (monotonicMs: number): number => Math.floor(monotonicMs / receiptUnitMs) + 1;

/** The end of the unit: a device is never taken for heard from earlier than it was. */
export const receiptMs = (receipt: number): number => receipt * receiptUnitMs;

/** Who follows the devices for longer than the window, and cannot look at every event. */
export interface DeviceListener {
  /** The first receipt of a device since it entered the table, or since `forget`. */
  heard(hashA: number, hashB: number): void;
  /** The device leaves the table; its last receipt. */
  left(hashA: number, hashB: number, receipt: number): void;
}

/**
 * Which devices had an event in the window, exactly: open addressing over (hash A, hash B, newest second, receipt), one cache
 * line a look. The number of active ones is kept by second, so that it costs nothing to read.
 *
 * 9 to 13 ns an event alone in the cache; 40 ns with 100,000 devices beside everything else.
 */
export class DeviceTable {
  readonly #devicesMax: number;
  /** Of each slot: hash A, hash B, newest second (0: free), newest receipt (0: none since it entered, or was forgotten). */
  #slots = new Uint32Array(firstSlots * slotWords);
  #mask = firstSlots - 1;
  #used = 0;
  readonly #bySecond = new Uint32Array(ringSeconds);
  #active = 0;
  #fromSecond: number;
  #swept = 0;
  /** Nobody reads it; a load without a use would be left out. */
  #touched = 0;
  /** Devices were left out since `forgetOverflow`: `active` is too low. */
  overflowed = false;

  readonly #listener: DeviceListener | null;

  constructor(fromSecond: number, max = devicesMax, listener: DeviceListener | null = null) {
    this.#fromSecond = fromSecond;
    this.#devicesMax = max;
    this.#listener = listener;
  }

  /** Devices with an event at `fromSecond` or later. */
  get active(): number {
    return this.#active;
  }

  /** Slots in use, expired devices included. */
  get used(): number {
    return this.#used;
  }

  /**
   * An event of the device. The caller has made sure that `second` is within `ringSeconds` of the window's start. `receipt`: when it
   * came, by `receiptOf`; 0 for what came in an earlier run or elsewhere.
   */
  observe(hashA: number, hashB: number, second: number, receipt = 0): void {
    if (second < this.#fromSecond) {
      if (receipt !== 0) this.#listener?.heard(hashA, hashB);
      return;
    }
    const slots = this.#slots;
    let slot = slotOf(hashA, hashB) & this.#mask;
    for (;;) {
      const at = slot * slotWords;
      const seen = slots[at + 2] as number;
      if (seen === 0) break;
      if (slots[at] === hashA && slots[at + 1] === hashB) {
        if (receipt !== 0) {
          if (slots[at + 3] === 0) this.#listener?.heard(hashA, hashB);
          slots[at + 3] = receipt;
        }
        if (second > seen) this.#renew(at, seen, second);
        return;
      }
      slot = (slot + 1) & this.#mask;
    }
    this.#insert(hashA, hashB, second, receipt);
    if (receipt !== 0) this.#listener?.heard(hashA, hashB);
  }

  /** Brings the device's slot into the cache, where `observe` will want it soon. */
  prefetch(hashA: number, hashB: number): void {
    this.#touched ^= this.#slots[(slotOf(hashA, hashB) & this.#mask) * slotWords] as number;
  }

  /** The device's newest receipt; 0: none that the table has. */
  receipt(hashA: number, hashB: number): number {
    const at = this.#find(hashA, hashB);
    return at < 0 ? 0 : (this.#slots[at + 3] as number);
  }

  /** The next event of the device is heard of as if it were its first. */
  forget(hashA: number, hashB: number): void {
    const at = this.#find(hashA, hashB);
    if (at >= 0) this.#slots[at + 3] = 0;
  }

  /** Hands every receipt to the listener: the table is given up. */
  leave(): void {
    const slots = this.#slots;
    for (let at = 0; at < slots.length; at += slotWords) if (slots[at + 2] !== 0) this.#tellLeft(at);
  }

  #find(hashA: number, hashB: number): number {
    const slots = this.#slots;
    let slot = slotOf(hashA, hashB) & this.#mask;
    for (;;) {
      const at = slot * slotWords;
      if (slots[at + 2] === 0) return -1;
      if (slots[at] === hashA && slots[at + 1] === hashB) return at;
      slot = (slot + 1) & this.#mask;
    }
  }

  #tellLeft(at: number): void {
    const slots = this.#slots;
    const receipt = slots[at + 3] as number;
    if (receipt !== 0) this.#listener?.left(slots[at] as number, slots[at + 1] as number, receipt);
  }

  /** Moves the window's start on. */
  advance(fromSecond: number): void {
    const passed = Math.min(fromSecond - this.#fromSecond, ringSeconds);
    for (let index = 0; index < passed; index++) {
      const at = (this.#fromSecond + index) & secondMask;
      this.#active -= this.#bySecond[at] as number;
      this.#bySecond[at] = 0;
    }
    this.#fromSecond = fromSecond;
  }

  /** Removes expired devices of the next few slots. */
  sweep(): void {
    const slots = this.#slots;
    const looks = Math.min(sweptSlots, this.#mask + 1);
    for (let look = 0; look < looks; look++) {
      const at = this.#swept * slotWords;
      const seen = slots[at + 2] as number;
      // A removal moves another device into the slot, which is then looked at in its turn.
      if (seen !== 0 && seen < this.#fromSecond) {
        this.#tellLeft(at);
        this.#remove(this.#swept);
      } else this.#swept = (this.#swept + 1) & this.#mask;
    }
  }

  #renew(at: number, seen: number, second: number): void {
    this.#slots[at + 2] = second;
    if (seen >= this.#fromSecond) {
      const before = seen & secondMask;
      this.#bySecond[before] = (this.#bySecond[before] as number) - 1;
    } else {
      this.#active++;
    }
    const after = second & secondMask;
    this.#bySecond[after] = (this.#bySecond[after] as number) + 1;
  }

  #insert(hashA: number, hashB: number, second: number, receipt: number): void {
    if (this.#active >= this.#devicesMax) {
      this.overflowed = true;
      return;
    }
    if (this.#used + 1 > (this.#mask + 1) * fillMax) this.#rebuild();
    this.#place(hashA, hashB, second, receipt);
    this.#active++;
    const at = second & secondMask;
    this.#bySecond[at] = (this.#bySecond[at] as number) + 1;
  }

  #place(hashA: number, hashB: number, second: number, receipt: number): void {
    let slot = slotOf(hashA, hashB) & this.#mask;
    while (this.#slots[slot * slotWords + 2] !== 0) slot = (slot + 1) & this.#mask;
    const at = slot * slotWords;
    this.#slots[at] = hashA;
    this.#slots[at + 1] = hashB;
    this.#slots[at + 2] = second;
    this.#slots[at + 3] = receipt;
    this.#used++;
  }

  /** Drops the expired; twice the slots when the active ones alone would fill a third. 10 ms for 300,000 devices. */
  #rebuild(): void {
    const old = this.#slots;
    let slots = this.#mask + 1;
    while (this.#active > slots / 3) slots *= 2;
    for (let at = 0; at < old.length; at += slotWords) {
      const seen = old[at + 2] as number;
      if (seen !== 0 && seen < this.#fromSecond) this.#tellLeft(at);
    }
    this.#slots = new Uint32Array(slots * slotWords);
    this.#mask = slots - 1;
    this.#used = 0;
    this.#swept = 0;
    for (let at = 0; at < old.length; at += slotWords) {
      const seen = old[at + 2] as number;
      if (seen < this.#fromSecond || seen === 0) continue;
      this.#place(old[at] as number, old[at + 1] as number, seen, old[at + 3] as number);
    }
  }

  /** Knuth's deletion for linear probing: what follows moves up, so no tombstones are left. */
  #remove(slot: number): void {
    const slots = this.#slots;
    let hole = slot;
    let next = slot;
    for (;;) {
      next = (next + 1) & this.#mask;
      const at = next * slotWords;
      if (slots[at + 2] === 0) break;
      const home = slotOf(slots[at] as number, slots[at + 1] as number) & this.#mask;
      // Moves unless its home lies cyclically in (hole, next].
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue;
      slots.copyWithin(hole * slotWords, at, at + slotWords);
      hole = next;
    }
    slots.fill(0, hole * slotWords, hole * slotWords + slotWords);
    this.#used--;
  }
}

/** Neither hash is mixed in its low bits, and linear probing needs that they are. */
export function slotOf(hashA: number, hashB: number): number {
  let mixed = hashA ^ ((hashB << 16) | (hashB >>> 16));
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
