import { LeaseLostError } from "./commit-queue.ts";
import { type JournalReaderDeps, readJournalRows } from "./journal-reader.ts";
import type { ShardEntries } from "./shared-state.ts";

export interface JournalTailDeps extends JournalReaderDeps {
  /** Null: they are gone, stored or taken back. */
  readonly rowsOf: (shard: number, id: string) => Promise<Uint8Array | null>;
}

interface Entry {
  readonly shard: number;
  readonly id: string;
}

/** An entry may have 4 MiB. */
const fetchedAtOnce = 8;
/** As many entries as one look gives; so many mean that there are more. */
const entriesPerLook = 1_000;

/**
 * The shared journal as the holder reads it, all instances' events in the order in which Redis took them. Each look gives the entries
 * after the places; when some were stored before they were read, the term ends, and the next one reads them from ClickHouse.
 */
export class JournalTail {
  readonly #deps: JournalTailDeps;
  #places = new Map<number, string>();
  #decided: ReadonlyMap<number, string> = new Map();
  #onFollowing: () => void = () => undefined;
  #phase: "waiting" | "filling" | "following" = "waiting";
  #hasMoved = false;

  constructor(deps: JournalTailDeps) {
    this.#deps = deps;
  }

  /** From which entries on the next look reads; none before `start`. */
  get places(): ReadonlyMap<number, string> {
    return this.#places;
  }

  get isFollowing(): boolean {
    return this.#phase === "following";
  }

  get hasMoved(): boolean {
    return this.#hasMoved;
  }

  takeMoved(): ReadonlyMap<number, string> {
    this.#hasMoved = false;
    return this.#places;
  }

  /** `decided`: up to there the holder before has decided. `onFollowing`: windows hold what they would if this one had read it all. */
  start(from: ReadonlyMap<number, string>, decided: ReadonlyMap<number, string>, onFollowing: () => void): void {
    for (const [shard, place] of decided) this.#places.set(shard, place === "$" ? "$" : (from.get(shard) ?? "0-0"));
    this.#decided = decided;
    this.#onFollowing = onFollowing;
    this.#phase = "filling";
  }

  /** Reads what a look has found; `offsetMs` from Redis's clock to this one's. True when nothing that was there is left. */
  async read(shards: readonly ShardEntries[], offsetMs: number): Promise<boolean> {
    if (this.#phase === "waiting" || shards.length === 0) return false;
    const entries: Entry[] = [];
    let isWhole = true;
    for (const { shard, trimmed, ids } of shards) {
      const place = this.#places.get(shard) as string;
      if (place === "$") {
        this.#move(shard, ids[0] ?? trimmed);
        continue;
      }
      if (compareIds(place, trimmed) < 0)
        throw new LeaseLostError(`events of shard ${shard} were stored before they were looked at`);
      if (ids.length >= entriesPerLook) isWhole = false;
      for (const id of ids) entries.push({ shard, id });
    }
    entries.sort((a, b) => compareIds(a.id, b.id));
    if (this.#phase === "filling") {
      const old = entries.filter(({ shard, id }) => compareIds(id, this.#decided.get(shard) ?? "0-0") <= 0);
      if (old.length > 0) {
        await this.#pass(old, offsetMs, "fill");
        return false;
      }
      this.#phase = "following";
      this.#onFollowing();
    }
    return (await this.#pass(entries, offsetMs, "decide")) && isWhole;
  }

  async #pass(entries: readonly Entry[], offsetMs: number, purpose: "decide" | "fill"): Promise<boolean> {
    for (let at = 0; at < entries.length; at += fetchedAtOnce) {
      const part = entries.slice(at, at + fetchedAtOnce);
      const fetched = await Promise.all(part.map(({ shard, id }) => this.#deps.rowsOf(shard, id)));
      for (const [index, rows] of fetched.entries()) {
        const { shard, id } = part[index] as Entry;
        // The next look says whether it was stored, or taken back.
        if (rows === null) return false;
        readJournalRows(this.#deps, rows, millisecondsOf(id) + offsetMs, purpose);
        this.#move(shard, id);
      }
    }
    return true;
  }

  #move(shard: number, id: string): void {
    this.#places.set(shard, id);
    this.#hasMoved = true;
  }
}

const millisecondsOf = (id: string): number => Number(id.slice(0, id.indexOf("-")));

/** "MS-NUMBER", both of any length. */
export function compareIds(a: string, b: string): number {
  const [aMs = "", aNumber = "0"] = a.split("-");
  const [bMs = "", bNumber = "0"] = b.split("-");
  return Number(aMs) - Number(bMs) || Number(aNumber) - Number(bNumber);
}
