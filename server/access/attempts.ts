import { TokenBucket } from "./token-bucket.ts";

/** Failed sign-ins that one address has at once, and how fast it gets new ones. */
const attemptsBurst = 10;
const attemptsPerSecond = 1 / 10;
/** Past it, the address that has been known for longest is forgotten. */
const addressesMax = 10_000;

/** Counts failed sign-ins by address, in bounded memory. */
export class Attempts {
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get addresses(): number {
    return this.#buckets.size;
  }

  /** Seconds to wait before the next attempt; 0: go ahead. */
  waitSeconds(address: string): number {
    const bucket = this.#buckets.get(network(address));
    if (bucket === undefined) return 0;
    const { remaining, retrySeconds } = bucket.state(1);
    return remaining >= 1 ? 0 : retrySeconds;
  }

  failed(address: string): void {
    const key = network(address);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      const [oldest] = this.#buckets.keys();
      if (this.#buckets.size >= addressesMax && oldest !== undefined) this.#buckets.delete(oldest);
      bucket = new TokenBucket({ ratePerSecond: attemptsPerSecond, capacity: attemptsBurst }, this.#now);
      this.#buckets.set(key, bucket);
    }
    bucket.tryTake(1);
  }
}

/** An IPv6 host has a whole /64 to itself; an IPv4 address may come mapped. */
function network(address: string): string {
  const bare = address.startsWith("::ffff:") ? address.slice(7) : address;
  if (!bare.includes(":")) return bare;
  const [head = "", tail] = bare.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
  return groups.slice(0, 4).join(":");
}
