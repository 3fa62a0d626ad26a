import { areEqual, copyShort, takeForStrings, takeZeroed } from "./heap";

/** Places are eight bytes: the upper half of the hash, and the address of what is there; 0 is a free place. */
const firstPlaces: u32 = 1 << 12;

/** What a string is known by: its bytes with their length before them, as rows and columns have it. */
@unmanaged
export class Named {
  /** Where the string is, with its length, and how many bytes that takes. */
  at: u32;
  bytes: u32;
}

/** Mixed into every hash, so that nobody can choose names that all fall into one place. */
let seed: u64 = 0x9e3779b97f4a7c15;

export function setSeed(value: u64): void {
  seed = value;
}

@inline
function mix(hash: u64): u64 {
  hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93;
  return hash ^ (hash >> 32);
}

@inline
export function hashNumbers(a: u64, b: u64): u64 {
  return mix((a ^ seed) * 0x9e3779b97f4a7c15 + b * 0xc2b2ae3d27d4eb4f);
}

@inline
function hashBytes(at: usize, bytes: usize): u64 {
  let hash = seed + bytes;
  let done: usize = 0;
  for (; done + 8 <= bytes; done += 8) hash = rotl((hash ^ load<u64>(at + done)) * 0x9e3779b97f4a7c15, 29);
  const left = bytes - done;
  if (left > 0) hash = rotl((hash ^ (load<u64>(at + done) << ((8 - left) << 3))) * 0xc2b2ae3d27d4eb4f, 29);
  return mix(hash);
}

/** Strings, each with a record of its own behind a `Named`. */
export class NameTable {
  private places: usize = 0;
  private mask: u32 = 0;
  count: u32 = 0;

  clear(): void {
    this.mask = firstPlaces - 1;
    this.places = takeZeroed(<u64>firstPlaces * 8);
    this.count = 0;
  }

  /** The record of a string; when it is new, one of so many bytes, zeroed but for its name. Whether it is, `count` tells. */
  find(at: usize, bytes: usize, recordBytes: u32): usize {
    const hash = hashBytes(at, bytes);
    let place = <u32>hash & this.mask;
    while (true) {
      const found = load<u64>(this.places + (<usize>place << 3));
      if (found === 0) return this.add(place, hash, at, bytes, recordBytes);
      if (<u32>(found >> 32) === <u32>(hash >> 32)) {
        const named = changetype<Named>(<usize>(<u32>found));
        if (<usize>named.bytes === bytes && areEqual(named.at, at, bytes)) return changetype<usize>(named);
      }
      place = (place + 1) & this.mask;
    }
  }

  private add(place: u32, hash: u64, at: usize, bytes: usize, recordBytes: u32): usize {
    const record = takeZeroed(<u64>recordBytes);
    const kept = takeForStrings(<u64>bytes);
    copyShort(kept, at, bytes);
    const named = changetype<Named>(record);
    named.at = <u32>kept;
    named.bytes = <u32>bytes;
    store<u64>(this.places + (<usize>place << 3), (hash & 0xffffffff00000000) | record);
    this.count++;
    if (this.count * 2 > this.mask) this.grow();
    return record;
  }

  private grow(): void {
    const oldPlaces = this.places;
    const oldCount = this.mask + 1;
    this.mask = this.mask * 2 + 1;
    this.places = takeZeroed((<u64>this.mask + 1) * 8);
    for (let old: u32 = 0; old < oldCount; old++) {
      const found = load<u64>(oldPlaces + (<usize>old << 3));
      if (found === 0) continue;
      const named = changetype<Named>(<usize><u32>found);
      let place = <u32>hashBytes(named.at, named.bytes) & this.mask;
      while (load<u64>(this.places + (<usize>place << 3)) !== 0) place = (place + 1) & this.mask;
      store<u64>(this.places + (<usize>place << 3), found);
    }
  }
}
