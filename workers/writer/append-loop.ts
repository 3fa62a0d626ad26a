import type { AppendResult, FrameGroup } from "../journal/journal.ts";
import { FrameGroupBuilder, groupMaxBytes } from "./frame-group.ts";
import type { Sealing } from "./sealing.ts";
import type { WriterDeps } from "./writer-deps.ts";

/** With nobody posting, nothing would ever show that the disk works again: after this long it is worth a try. */
const failureShownMs = 10_000;

export interface AppendLoopDeps extends WriterDeps {
  readonly sealing: Sealing;
  readonly onStatus: () => void;
}

/**
 * Ring → group → journal: whatever waits in the ring becomes one group and one flush, and is answered for when that is
 * done (group commit). One append at a time, in the order of the ring; each group is taken or refused as a whole.
 * Woken by the main thread, and by the writer's ticker.
 */
export class AppendLoop {
  readonly #deps: AppendLoopDeps;
  readonly #group = new FrameGroupBuilder();
  #isRunning = false;
  #failure: { readonly message: string; readonly atMs: number } | null = null;

  constructor(deps: AppendLoopDeps) {
    this.#deps = deps;
  }

  /** Whether every frame that was published has been answered for. */
  get isIdle(): boolean {
    return this.#deps.ring.empty && !this.#isRunning;
  }

  /** Why the journal takes nothing; null when it does, or did not some time ago. */
  get failure(): string | null {
    if (this.#failure === null) return null;
    return this.#deps.monotonicNow() - this.#failure.atMs < failureShownMs ? this.#failure.message : null;
  }

  /** What there is to do by the clock. */
  tick(): void {
    if (this.#isRunning) return;
    if (this.#deps.ring.empty) this.#deps.sealing.sealIfDue();
    else void this.drain();
  }

  /** Empties the ring. Resolves at once while it is at it already. */
  async drain(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { ring, sealing } = this.#deps;
    try {
      for (;;) {
        await this.#gather();
        await this.#append();
        // Only now may the memory of the frames be used again: a refusal must find the ring as full as it is.
        ring.release();
        sealing.sealIfDue();
        if (ring.trySleep()) return;
        // Let messages, timers and the insert's socket have their turn.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /** Everything waiting becomes one group, up to its bound. A batch that is full ends before a frame of a new epoch. */
  async #gather(): Promise<void> {
    const { ring, journal, sealing } = this.#deps;
    const group = this.#group;
    for (let frame = ring.next(); frame !== undefined; frame = ring.next()) {
      const opensEpoch = frame.epoch > Math.max(group.newestEpoch, journal.open.epoch);
      const holdsRows = journal.open.rowCount + group.rowCount > 0;
      if (opensEpoch && holdsRows && sealing.isWanted(group.rowCount, group.byteCount)) {
        await this.#append();
        sealing.seal();
      }
      group.add(frame);
      if (group.byteCount >= groupMaxBytes) return;
    }
  }

  async #append(): Promise<void> {
    const { ring, journal, sealing } = this.#deps;
    if (this.#group.rowCount === 0) return;
    const { firstEpoch } = this.#group;
    const group = this.#group.take(this.#deps.now());
    sealing.beforeAppend();
    const appended = journal.append(group);
    const result = appended instanceof Promise ? await appended : appended;
    ring.publishJournalBytes(journal.bytes);
    sealing.afterAppend(result.ok, firstEpoch);
    this.#report(group, result);
  }

  #report(group: FrameGroup, result: AppendResult): void {
    const { post, log, onStatus } = this.#deps;
    const before = this.#failure;
    if (result.ok) {
      this.#failure = null;
      if (before !== null) {
        log("info", "the journal takes events again");
        onStatus();
      }
      post({ type: "durable", rows: group.rowCount });
      return;
    }
    const { reason, message } = result;
    if (before === null) log("error", "the journal refused events", { error: message });
    this.#failure = { message, atMs: this.#deps.monotonicNow() };
    post({ type: "refused", rows: group.rowCount, reason, message });
    onStatus();
  }
}
