import { slotOf } from "../live-view/device-table.ts";

/** Devices that are known one by one. With names of 20 characters and shared metadata: about 100 bytes each. */
export const registerMax = 524_288;
/** Characters of all names together. */
const nameCharactersMax = 1 << 26;
/** Characters of all different metadata together; past it devices go without. */
const profileCharactersMax = 1 << 25;
/** Metadata longer than this is not what devices are grouped by. */
const profileMaxCharacters = 4_096;
const firstCapacity = 1 << 10;
const fillMax = 0.6;
const none = -1;

/** What devices have in common: their newest metadata, kept once for all that have the same. */
export interface Profile {
  readonly text: string;
  readonly metadata: Readonly<Record<string, string>>;
  devices: number;
}

/**
 * The devices that are known, by a number that never changes while the process runs: their hashes, names, what follows from
 * their reports. Nothing is taken out: it is the register of the fleet. Past its bounds `add` refuses.
 */
export class DeviceRegister {
  readonly #max: number;
  #slots = new Int32Array(firstCapacity * 2).fill(none);
  #size = 0;
  #nameCharacters = 0;
  #profileCharacters = 0;
  readonly #profilesByText = new Map<string, Profile>();
  #hashesA = new Uint32Array(firstCapacity);
  #hashesB = new Uint32Array(firstCapacity);
  readonly #names: (string | null)[] = [];
  readonly #profiles: (Profile | null)[] = [];
  /** 1: silent. */
  silent = new Uint8Array(firstCapacity);
  /** 1: first heard of by this process, and not announced. */
  isNew = new Uint8Array(firstCapacity);
  silentAfterMs = new Uint32Array(firstCapacity);
  /** NaN: not known. */
  intervalMs = new Float64Array(firstCapacity);
  /** When it was last heard, on the clock that is never set; receipts that the device table has are newer. */
  heardMs = new Float64Array(firstCapacity);
  /** Epoch milliseconds; of a silent device. */
  silentSinceMs = new Float64Array(firstCapacity);

  constructor(max = registerMax) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  find(hashA: number, hashB: number): number {
    const mask = this.#slots.length - 1;
    let slot = slotOf(hashA, hashB) & mask;
    for (;;) {
      const device = this.#slots[slot] as number;
      if (device === none) return none;
      if (this.#hashesA[device] === hashA && this.#hashesB[device] === hashB) return device;
      slot = (slot + 1) & mask;
    }
  }

  /** A number for a device that is not there yet; none when there is no room. */
  add(hashA: number, hashB: number): number {
    if (this.#size >= this.#max) return none;
    if (this.#size === this.silent.length) this.#grow();
    const device = this.#size++;
    this.#hashesA[device] = hashA;
    this.#hashesB[device] = hashB;
    this.#names.push(null);
    this.#profiles.push(null);
    this.intervalMs[device] = Number.NaN;
    if (this.#size > this.#slots.length * fillMax) this.#rehash();
    else this.#place(device);
    return device;
  }

  hashA(device: number): number {
    return this.#hashesA[device] as number;
  }

  hashB(device: number): number {
    return this.#hashesB[device] as number;
  }

  name(device: number): string | null {
    return this.#names[device] ?? null;
  }

  /** False: there is no room for more names. */
  setName(device: number, name: string): boolean {
    if (this.#names[device] !== null) return true;
    if (this.#nameCharacters + name.length > nameCharactersMax) return false;
    this.#nameCharacters += name.length;
    this.#names[device] = name;
    return true;
  }

  profile(device: number): Profile | null {
    return this.#profiles[device] ?? null;
  }

  setProfile(device: number, metadata: Readonly<Record<string, string>>): void {
    const profile = this.#profileOf(metadata);
    const before = this.#profiles[device] ?? null;
    if (profile === before) return;
    if (profile !== null) profile.devices++;
    this.#profiles[device] = profile;
    if (before !== null && --before.devices === 0) {
      this.#profilesByText.delete(before.text);
      this.#profileCharacters -= before.text.length;
    }
  }

  /** Devices whose metadata has this value. */
  countWith(key: string, value: string): number {
    let devices = 0;
    for (const profile of this.#profilesByText.values()) {
      if (Object.hasOwn(profile.metadata, key) && profile.metadata[key] === value) devices += profile.devices;
    }
    return devices;
  }

  #profileOf(metadata: Readonly<Record<string, string>>): Profile | null {
    const text = JSON.stringify(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)));
    const known = this.#profilesByText.get(text);
    if (known !== undefined) return known;
    if (text.length > profileMaxCharacters || this.#profileCharacters + text.length > profileCharactersMax) return null;
    const profile = { text, metadata, devices: 0 };
    this.#profilesByText.set(text, profile);
    this.#profileCharacters += text.length;
    return profile;
  }

  #place(device: number): void {
    const mask = this.#slots.length - 1;
    let slot = slotOf(this.hashA(device), this.hashB(device)) & mask;
    while (this.#slots[slot] !== none) slot = (slot + 1) & mask;
    this.#slots[slot] = device;
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * 2).fill(none);
    for (let device = 0; device < this.#size; device++) this.#place(device);
  }

  #grow(): void {
    const capacity = this.silent.length * 2;
    this.#hashesA = grown(this.#hashesA, new Uint32Array(capacity));
    this.#hashesB = grown(this.#hashesB, new Uint32Array(capacity));
    this.silent = grown(this.silent, new Uint8Array(capacity));
    this.isNew = grown(this.isNew, new Uint8Array(capacity));
    this.silentAfterMs = grown(this.silentAfterMs, new Uint32Array(capacity));
    this.intervalMs = grown(this.intervalMs, new Float64Array(capacity));
    this.heardMs = grown(this.heardMs, new Float64Array(capacity));
    this.silentSinceMs = grown(this.silentSinceMs, new Float64Array(capacity));
  }
}

function grown<T extends Uint8Array | Uint32Array | Float64Array>(old: T, array: T): T {
  array.set(old);
  return array;
}
