import { basename, dirname } from "node:path";
import type { Files, OpenFile, OpenMode } from "../workers/journal/files.ts";

/**
 * A disk for the model test that keeps only what a file system promises. What was not synced may after a power cut be
 * there or not, sector by sector and name by name, in any combination: each sector as any of the versions that it had
 * since its last sync, a length as any of those that the file had, each creation, removal and rename on its own.
 */
const sectorBytes = 512;
/** Behind the header of a journal's file. */
const staleFromByte = 2 * sectorBytes;

export type CallKind = "open" | "create" | "read" | "write" | "sync" | "truncate" | "remove" | "rename" | "directory";

/** Breaks of the disk's promises, to show that the model test would notice if the journal did not use them. */
export type Break =
  | "sync does nothing"
  | "sync forgets the length"
  | "sync forgets the header"
  | "recovery does not sync"
  | "recovery does not write"
  | "directory sync does nothing"
  | "truncate does nothing"
  | "remove does nothing"
  | "key log is not written"
  | "key log is not synced"
  | "notes are not written"
  | "notes are not synced";

/** The process died in this call, or before it. */
export class ProcessGone extends Error {}

export class SimulatedError extends Error {
  readonly code: string;

  constructor(code: string, call: CallKind) {
    super(`${code}: simulated, ${call}`);
    this.code = code;
  }
}

export interface Fault {
  /** Calls that still pass before it begins. */
  after: number;
  /** Calls of these kinds that it makes fail, from then on. */
  count: number;
  /** Of the calls after the first, every how many-th fails; all of them by default. */
  readonly every?: number;
  readonly kinds: ReadonlySet<CallKind>;
  readonly code: string;
}

type Random = () => number;

class Inode {
  live = new Uint8Array(0);
  readonly #durable = new Map<number, Uint8Array>();
  #durableLength = 0;
  /** What sectors were since their last sync, oldest first. */
  readonly #versions = new Map<number, Uint8Array[]>();
  /** Lengths since the last sync. */
  #lengths: number[] = [];

  setLength(bytes: number): void {
    const before = this.live.length;
    const resized = new Uint8Array(bytes);
    resized.set(this.live.subarray(0, Math.min(bytes, before)));
    this.live = resized;
    this.#remember(Math.min(bytes, before), Math.max(bytes, before));
    this.#lengths.push(bytes);
  }

  write(bytes: Uint8Array, at: number): void {
    if (bytes.length === 0) return;
    if (at + bytes.length > this.live.length) {
      const grown = new Uint8Array(at + bytes.length);
      grown.set(this.live);
      this.live = grown;
      this.#lengths.push(grown.length);
    }
    this.live.set(bytes, at);
    this.#remember(at, at + bytes.length);
  }

  sync(except: (sector: number) => boolean, withLength: boolean): void {
    for (const [sector, versions] of this.#versions) {
      if (except(sector)) continue;
      this.#durable.set(sector, versions.at(-1) as Uint8Array);
      this.#versions.delete(sector);
    }
    if (withLength) this.#setDurableLength(this.live.length);
  }

  /** A failed sync: what did not reach the disk is taken for clean and is not written again (as Linux does). */
  failSync(random: Random): void {
    for (const [sector, versions] of this.#versions) {
      if (random() < 0.5) this.#durable.set(sector, versions.at(-1) as Uint8Array);
    }
    this.#versions.clear();
  }

  powerCut(random: Random): void {
    const lengths = [this.#durableLength, ...this.#lengths];
    let length = lengths[Math.floor(random() * lengths.length)] as number;
    if (random() < 0.2) {
      const [low, high] = [Math.min(...lengths), Math.max(...lengths)];
      length = low + Math.floor(random() * (high - low + 1));
    }
    // Sometimes nearly all of it, sometimes nearly nothing.
    const survival = random();
    for (const [sector, versions] of this.#versions) {
      if (random() >= survival) continue;
      this.#durable.set(sector, versions[Math.floor(random() * versions.length)] as Uint8Array);
    }
    this.#versions.clear();
    this.#setDurableLength(length);
    this.live = new Uint8Array(length);
    for (const [sector, bytes] of this.#durable) {
      const at = sector * sectorBytes;
      this.live.set(bytes.subarray(0, Math.min(sectorBytes, length - at)), at);
    }
  }

  #setDurableLength(bytes: number): void {
    this.#durableLength = bytes;
    this.#lengths = [];
    for (const sector of this.#durable.keys()) if (sector * sectorBytes >= bytes) this.#durable.delete(sector);
  }

  #remember(from: number, to: number): void {
    for (let sector = Math.floor(from / sectorBytes); sector * sectorBytes < to; sector++) {
      const version = new Uint8Array(sectorBytes);
      version.set(this.live.subarray(sector * sectorBytes, (sector + 1) * sectorBytes));
      const known = this.#versions.get(sector);
      if (known) known.push(version);
      else this.#versions.set(sector, [version]);
    }
  }
}

type Change = readonly [name: string, inode: Inode | null];

class Directory {
  live = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  #unsynced: Change[][] = [];

  apply(...changes: Change[]): void {
    applyTo(this.live, changes);
    this.#unsynced.push(changes);
  }

  sync(): void {
    this.#durable = new Map(this.live);
    this.#unsynced = [];
  }

  powerCut(random: Random): void {
    const survival = random();
    for (const changes of this.#unsynced) if (random() < survival) applyTo(this.#durable, changes);
    this.#unsynced = [];
    this.live = new Map(this.#durable);
  }
}

function applyTo(names: Map<string, Inode>, changes: readonly Change[]): void {
  for (const [name, inode] of changes) {
    if (inode) names.set(name, inode);
    else names.delete(name);
  }
}

export class SimulatedDisk implements Files {
  readonly #directories = new Map<string, Directory>();
  readonly #random: Random;
  readonly #breaks: ReadonlySet<Break>;
  #removedSegment = new Uint8Array(0);
  fault: Fault | null = null;
  /** Faults that struck so far. */
  faults = 0;
  calls = 0;
  /** Calls until the process dies; null while it is to live. */
  diesAfter: number | null = null;
  dead = false;
  recovering = false;

  constructor(random: Random, breaks: ReadonlySet<Break> = new Set()) {
    this.#random = random;
    this.#breaks = breaks;
  }

  broken(name: Break): boolean {
    return this.#breaks.has(name);
  }

  /** The next process. After a kill everything that was written is still in the page cache; after a power cut it is not. */
  restart(after: "kill" | "power cut"): void {
    this.dead = false;
    this.diesAfter = null;
    if (after === "kill") return;
    const inodes = new Set<Inode>();
    for (const directory of this.#directories.values()) {
      for (const inode of directory.live.values()) inodes.add(inode);
      directory.powerCut(this.#random);
      for (const inode of directory.live.values()) inodes.add(inode);
    }
    for (const inode of inodes) inode.powerCut(this.#random);
  }

  /** What the process sees of a directory, for checks and for damage. */
  contents(path: string): Map<string, Uint8Array> {
    const names = this.#directories.get(path)?.live ?? new Map<string, Inode>();
    return new Map([...names].map(([name, inode]) => [name, inode.live]));
  }

  /** Puts a file there, durably, past all faults. */
  plant(path: string, bytes: Uint8Array): void {
    const inode = new Inode();
    inode.write(bytes, 0);
    inode.sync(() => false, true);
    const directory = this.#directory(path);
    directory.apply([basename(path), inode]);
    directory.sync();
  }

  /** Runs one call of the process: it may die before or after it, and the call may fail. */
  call<T>(kind: CallKind, work: () => T, fail: () => void = () => undefined): T {
    if (this.dead) throw new ProcessGone();
    this.calls++;
    const dies = this.diesAfter !== null && this.diesAfter-- <= 0;
    if (dies) this.dead = true;
    if (dies && this.#random() < 0.5) throw new ProcessGone();
    if (this.#strikes(kind)) {
      fail();
      if (dies) throw new ProcessGone();
      throw new SimulatedError(this.fault?.code ?? "", kind);
    }
    const result = work();
    if (dies) throw new ProcessGone();
    return result;
  }

  #strikes(kind: CallKind): boolean {
    const { fault } = this;
    if (fault === null || !fault.kinds.has(kind)) return false;
    if (fault.after > 0) {
      fault.after--;
      return false;
    }
    if (fault.count <= 0) return false;
    fault.after = (fault.every ?? 1) - 1;
    fault.count--;
    this.faults++;
    return true;
  }

  random(): number {
    return this.#random();
  }

  makeDirectory(path: string): void {
    this.call("directory", () => {
      if (!this.#directories.has(path)) this.#directories.set(path, new Directory());
    });
  }

  list(path: string): { name: string; isFile: boolean }[] {
    return this.call("read", () => {
      const directory = this.#directories.get(path);
      if (!directory) throw new SimulatedError("ENOENT", "read");
      return [...directory.live.keys()].map((name) => ({ name, isFile: true }));
    });
  }

  open(path: string, mode: OpenMode): OpenFile {
    return this.call(mode === "create" ? "create" : "open", () => {
      const directory = this.#directory(path);
      const known = directory.live.get(basename(path));
      if (mode === "create") {
        if (known) throw new SimulatedError("EEXIST", "create");
        const inode = new Inode();
        directory.apply([basename(path), inode]);
        return new SimulatedFile(this, inode, basename(path));
      }
      if (!known) throw new SimulatedError("ENOENT", "open");
      return new SimulatedFile(this, known, basename(path));
    });
  }

  remove(path: string): void {
    this.call("remove", () => {
      const directory = this.#directory(path);
      const inode = directory.live.get(basename(path));
      if (!inode) throw new SimulatedError("ENOENT", "remove");
      if (path.endsWith(".seg")) this.#removedSegment = inode.live;
      if (!this.broken("remove does nothing")) directory.apply([basename(path), null]);
    });
  }

  async discard(path: string): Promise<void> {
    this.remove(path);
  }

  rename(from: string, to: string): void {
    this.call("rename", () => {
      const source = this.#directory(from);
      const inode = source.live.get(basename(from));
      if (!inode) throw new SimulatedError("ENOENT", "rename");
      if (dirname(from) === dirname(to)) {
        source.apply([basename(from), null], [basename(to), inode]);
      } else {
        // A rename is one change on a real disk; between directories it comes to the same if both survive or neither.
        source.apply([basename(from), null]);
        this.#directory(to).apply([basename(to), inode]);
        source.sync();
        this.#directory(to).sync();
      }
    });
  }

  /**
   * Mostly with what the segment left that was removed last, instead of zeros, behind the first sectors: nothing that lies in
   * a file before it is written to may ever pass for one of its frames.
   */
  async prepare(path: string, bytes: number): Promise<void> {
    const directory = this.#directory(path);
    const inode = new Inode();
    const content = new Uint8Array(bytes);
    if (this.#removedSegment.length > staleFromByte && this.#random() < 0.8) {
      content.set(this.#removedSegment.subarray(staleFromByte, bytes), staleFromByte);
    }
    this.call("create", () => directory.apply([basename(path), inode]));
    const file = new SimulatedFile(this, inode, basename(path));
    try {
      file.write([content], 0);
      file.sync();
    } catch (error) {
      if (!this.dead) directory.apply([basename(path), null]);
      throw error;
    }
  }

  syncDirectory(path: string): void {
    this.call("directory", () => {
      if (!this.broken("directory sync does nothing")) this.#directories.get(path)?.sync();
    });
  }

  #directory(path: string): Directory {
    const directory = this.#directories.get(dirname(path));
    if (!directory) throw new SimulatedError("ENOENT", "open");
    return directory;
  }
}

class SimulatedFile implements OpenFile {
  readonly #disk: SimulatedDisk;
  readonly #inode: Inode;
  readonly #name: string;

  constructor(disk: SimulatedDisk, inode: Inode, name: string) {
    this.#disk = disk;
    this.#inode = inode;
    this.#name = name;
  }

  get bytes(): number {
    return this.#disk.call("read", () => this.#inode.live.length);
  }

  read(into: Uint8Array, at: number): number {
    return this.#disk.call("read", () => {
      const found = this.#inode.live.subarray(at, at + into.length);
      into.set(found);
      return found.length;
    });
  }

  write(parts: readonly Uint8Array[], at: number): void {
    if (this.#disk.broken("key log is not written") && this.#name.startsWith("keys-")) return;
    if (this.#disk.broken("notes are not written") && this.#name.endsWith(".notes")) return;
    if (this.#disk.broken("recovery does not write") && this.#disk.recovering) return;
    const bytes = Buffer.concat(parts);
    this.#disk.call(
      "write",
      () => this.#inode.write(bytes, at),
      // What fits is written, down to any byte.
      () => this.#inode.write(bytes.subarray(0, Math.floor(this.#disk.random() * (bytes.length + 1))), at),
    );
  }

  sync(): void {
    const disk = this.#disk;
    disk.call(
      "sync",
      () => {
        if (disk.broken("sync does nothing")) return;
        if (disk.broken("recovery does not sync") && disk.recovering) return;
        if (disk.broken("key log is not synced") && this.#name.startsWith("keys-")) return;
        if (disk.broken("notes are not synced") && this.#name.endsWith(".notes")) return;
        const isHeader = (sector: number): boolean => disk.broken("sync forgets the header") && sector < 2;
        this.#inode.sync(isHeader, !disk.broken("sync forgets the length"));
      },
      () => this.#inode.failSync(() => disk.random()),
    );
  }

  truncate(bytes: number): void {
    this.#disk.call("truncate", () => {
      if (!this.#disk.broken("truncate does nothing")) this.#inode.setLength(bytes);
    });
  }

  close(): void {
    // Closing promises nothing, and nobody looks at what it answers.
  }
}
