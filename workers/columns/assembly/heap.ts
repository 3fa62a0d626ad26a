/**
 * The module's memory: what is taken is kept until everything is let go at once, before the next batch. Nothing is zeroed
 * unless it says so.
 */

/** Short strings are read and copied in whole runs: reads go so far past the end of anything, and writes past that of strings. */
const slackBytes: usize = 16;
const pageBytes: u64 = 1 << 16;

let bottom: usize = 0;
let top: usize = 0;

export function releaseAll(): void {
  // Behind what the module's own few objects take, all of which are there by now.
  if (bottom === 0) bottom = heap.alloc(16);
  top = bottom;
}

/** Traps when 4 GiB are not enough, or the machine does not have them. */
export function take(bytes: u64): usize {
  const at = (top + 7) & ~7;
  const end = <u64>at + bytes + slackBytes;
  const held = <u64>memory.size() * pageBytes;
  if (end > held) {
    // By a quarter more than is needed: the first batches would grow it thousands of times.
    const wanted = min((end + end / 4 + pageBytes - 1) / pageBytes, <u64>65536);
    if (end > wanted * pageBytes || memory.grow(<i32>(wanted - <u64>memory.size())) < 0) unreachable();
  }
  top = <usize>(end - slackBytes);
  return at;
}

/** For strings that `copyShort` puts there, one behind the other. */
export function takeForStrings(bytes: u64): usize {
  return take(bytes + slackBytes);
}

export function takeZeroed(bytes: u64): usize {
  const at = take(bytes);
  memory.fill(at, 0, <usize>bytes);
  return at;
}

/** Copies whole runs of 16 bytes: up to so many behind the last one are overwritten, too. */
@inline
export function copyShort(to: usize, from: usize, bytes: usize): void {
  v128.store(to, v128.load(from));
  if (bytes <= 16) return;
  if (bytes > 128) {
    memory.copy(to + 16, from + 16, bytes - 16);
    return;
  }
  for (let done: usize = 16; done < bytes; done += 16) v128.store(to + done, v128.load(from + done));
}

/** Whether so many bytes are the same in both places. */
@inline
export function areEqual(a: usize, b: usize, bytes: usize): bool {
  let done: usize = 0;
  for (; done + 16 <= bytes; done += 16) {
    if (v128.any_true(v128.xor(v128.load(a + done), v128.load(b + done)))) return false;
  }
  const left = bytes - done;
  if (left === 0) return true;
  if (left >= 8) {
    if (load<u64>(a + done) !== load<u64>(b + done)) return false;
    return load<u64>(a + bytes - 8) === load<u64>(b + bytes - 8);
  }
  return ((load<u64>(a + done) ^ load<u64>(b + done)) << ((8 - left) << 3)) === 0;
}

/** Four-byte numbers, as many as come. */
export class Numbers {
  private at: usize = 0;
  private capacity: u32 = 0;
  count: u32 = 0;

  clear(): void {
    this.capacity = 1024;
    this.at = take(4 * 1024);
    this.count = 0;
  }

  push(value: u32): void {
    if (this.count === this.capacity) {
      const grown = take(<u64>this.capacity * 8);
      memory.copy(grown, this.at, <usize>this.capacity << 2);
      this.at = grown;
      this.capacity *= 2;
    }
    store<u32>(this.at + (<usize>this.count << 2), value);
    this.count++;
  }

  /** So many, of which each has to be set. */
  resize(count: u32): void {
    this.capacity = max(count, 1);
    this.at = take(<u64>this.capacity * 4);
    this.count = count;
  }

  @inline
  set(index: u32, value: u32): void {
    store<u32>(this.at + (<usize>index << 2), value);
  }

  @inline
  get(index: u32): u32 {
    return load<u32>(this.at + (<usize>index << 2));
  }
}
