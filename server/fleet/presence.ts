import type { ChangeDetail } from "../../contract/fleet.ts";
import type { Aggregator } from "../live-view/aggregator.ts";
import { receiptMs } from "../live-view/device-table.ts";
import { windowSeconds } from "../live-view/live-window.ts";
import { unknownIntervalMs } from "./device-query.ts";
import { DeviceRegister } from "./device-register.ts";
import { RecentCount } from "./recent-count.ts";
import { TimingWheel } from "./timing-wheel.ts";

export type DeviceChangeKind = "silent" | "online" | "new" | "metadata";

/** What happened to one device. */
export interface DeviceChange {
  readonly kind: DeviceChangeKind;
  /** Epoch milliseconds. */
  readonly atMs: number;
  readonly deviceId: string;
  readonly detail: ChangeDetail;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface PresenceDeps {
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonicNow: () => number;
  readonly receipts: () => Aggregator["receipts"];
}

/** A thread that was away for longer than this has not heard what came meanwhile. */
const pauseMs = 2_000;

/**
 * When each device was last heard, and who is silent. Receipts of this process are noted by the device table of the live
 * view, so an event costs nothing here; a timing wheel has the moment at which each device will have been silent for too
 * long.
 *
 * Time in which devices could not deliver is not silence: before `open`, while nothing is accepted, and while this thread
 * itself stood still, the floor rises, and nobody is silent sooner than their time after it.
 */
export class Presence {
  readonly register: DeviceRegister;
  readonly becameSilent = new RecentCount(windowSeconds);
  readonly newDevices = new RecentCount(windowSeconds);
  silent = 0;
  /** ClickHouse has told which devices there are; before that, who is new is not known. */
  isComplete = false;
  /** There was no room for a device, or for its name. */
  overflowed = false;
  readonly #deps: PresenceDeps;
  readonly #wheel: TimingWheel;
  #changes: DeviceChange[] = [];
  /** No device counts as silent before its time after this; null: not open yet. */
  #floorMs: number | null = null;
  #tickedMs: number;

  constructor(deps: PresenceDeps, devicesMax: number | undefined) {
    this.#deps = deps;
    this.register = new DeviceRegister(devicesMax);
    this.#tickedMs = deps.monotonicNow();
    this.#wheel = new TimingWheel(this.#tickedMs);
  }

  get isOpen(): boolean {
    return this.#floorMs !== null;
  }

  /** From here on devices can deliver. */
  open(): void {
    this.#tickedMs = this.#deps.monotonicNow();
    this.#floorMs = this.#tickedMs;
  }

  /** Call often: a long pause means that nothing was heard in it. */
  tick(nowMs: number, isAccepting: boolean): void {
    if (nowMs - this.#tickedMs > pauseMs || !isAccepting) this.#floorMs = nowMs;
    this.#tickedMs = nowMs;
  }

  /** What happened since the last call. */
  takeChanges(): readonly DeviceChange[] {
    return this.#changes.length === 0 ? this.#changes : this.#changes.splice(0);
  }

  /** The first event of a device since it entered the table, since the start, or since it fell silent. */
  heard(hashA: number, hashB: number): void {
    const nowMs = this.#deps.monotonicNow();
    let device = this.register.find(hashA, hashB);
    if (device < 0) {
      device = this.add(hashA, hashB, nowMs);
      if (device < 0) return;
      // Before the fleet is known, who is new is not.
      if (this.isComplete) this.markNew(device);
    }
    this.noteHeard(device, nowMs);
    if (this.register.silent[device] === 1) this.comeBack(device, this.#deps.now());
  }

  /** The device table forgets it; its last receipt. */
  left(hashA: number, hashB: number, receipt: number): void {
    const device = this.register.find(hashA, hashB);
    if (device >= 0) this.noteHeard(device, receiptMs(receipt));
  }

  /** Gives -1 when there is no room. */
  add(hashA: number, hashB: number, heardMs: number): number {
    const device = this.register.add(hashA, hashB);
    if (device < 0) {
      this.overflowed = true;
      return device;
    }
    this.register.silentAfterMs[device] = 2 * unknownIntervalMs + 1_000;
    this.register.heardMs[device] = heardMs;
    this.schedule(device);
    return device;
  }

  markNew(device: number): void {
    this.register.isNew[device] = 1;
    this.newDevices.add(Math.floor(this.#deps.now() / 1000), 1);
  }

  noteHeard(device: number, atMs: number): void {
    const { heardMs } = this.register;
    if (atMs > (heardMs[device] as number)) heardMs[device] = atMs;
  }

  lastHeardMs(device: number): number {
    const { hashA, hashB } = this.#hashes(device);
    const receipt = this.#deps.receipts().receipt(hashA, hashB);
    const known = this.register.heardMs[device] as number;
    return receipt === 0 ? known : Math.max(known, receiptMs(receipt));
  }

  isHeardHere(device: number): boolean {
    const { hashA, hashB } = this.#hashes(device);
    return this.#deps.receipts().receipt(hashA, hashB) !== 0;
  }

  wallOf(monotonicMs: number): number {
    return this.#deps.now() - (this.#deps.monotonicNow() - monotonicMs);
  }

  monotonicOf(wallMs: number): number {
    return this.#deps.monotonicNow() - (this.#deps.now() - wallMs);
  }

  schedule(device: number): void {
    if (this.register.silent[device] === 0) this.#wheel.set(device, this.#deadlineMs(device));
  }

  /** Finds who has fallen silent by then. */
  judge(asOfMs: number): void {
    this.#wheel.advance(asOfMs, (device) => {
      const deadlineMs = this.#deadlineMs(device);
      if (deadlineMs > asOfMs) this.#wheel.set(device, deadlineMs);
      else this.#fallSilent(device, deadlineMs);
    });
  }

  /** Silent since an earlier run. */
  restoreSilence(device: number, sinceMs: number): void {
    this.register.silent[device] = 1;
    this.register.silentSinceMs[device] = sinceMs;
    this.silent++;
    this.#wheel.clear(device);
  }

  comeBack(device: number, atMs: number): void {
    const register = this.register;
    register.silent[device] = 0;
    this.silent--;
    const silentMs = Math.max(0, atMs - (register.silentSinceMs[device] as number));
    this.announce(device, "online", atMs, { silent_seconds: Math.round(silentMs) / 1000 });
    this.schedule(device);
  }

  /** A device without a name has never been stored, and is announced as new when it is. */
  announce(device: number, kind: DeviceChangeKind, atMs: number, detail: ChangeDetail): void {
    const deviceId = this.register.name(device);
    if (deviceId === null) return;
    const metadata = this.register.profile(device)?.metadata ?? {};
    this.#changes.push({ kind, atMs: Math.round(atMs), deviceId, detail, metadata });
  }

  #fallSilent(device: number, deadlineMs: number): void {
    const register = this.register;
    const { hashA, hashB } = this.#hashes(device);
    const heardMs = this.lastHeardMs(device);
    this.noteHeard(device, heardMs);
    // The next event is told at once.
    this.#deps.receipts().forget(hashA, hashB);
    const atMs = Math.round(this.wallOf(deadlineMs));
    register.silent[device] = 1;
    register.silentSinceMs[device] = atMs;
    this.silent++;
    this.becameSilent.add(Math.floor(this.#deps.now() / 1000), 1);
    const interval = register.intervalMs[device] as number;
    this.announce(device, "silent", atMs, {
      last_seen: new Date(this.wallOf(heardMs)).toISOString(),
      interval_seconds: Number.isNaN(interval) ? null : interval / 1000,
    });
  }

  #deadlineMs(device: number): number {
    const floorMs = this.#floorMs ?? this.#deps.monotonicNow();
    return Math.max(this.lastHeardMs(device), floorMs) + (this.register.silentAfterMs[device] as number);
  }

  #hashes(device: number): { hashA: number; hashB: number } {
    return { hashA: this.register.hashA(device), hashB: this.register.hashB(device) };
  }
}
