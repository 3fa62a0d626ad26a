import type { StoredEvent } from "../../contract/event.ts";
import type { KeyRecord } from "../../workers/journal/journal.ts";
import type { IngestPrincipal } from "../access/access.ts";
import type { Tap } from "../alerts/event-tap.ts";
import { Refusal } from "../http/refusal.ts";
import type { Aggregator } from "../live-view/aggregator.ts";
import type { ShardEpochs } from "../live-view/epoch.ts";
import { type Accepted, Acknowledgements, type Durability } from "./acknowledgements.ts";
import { IngestCounters } from "./counts.ts";
import type { Delivery, Staged } from "./format.ts";
import { FramesInFlight } from "./frames-in-flight.ts";
import type { Staging } from "./staging.ts";

export interface IntakeDeps {
  readonly staging: Staging;
  readonly aggregator: Pick<Aggregator, "fold" | "discard">;
  /** Decides on events under alert rules once they are durable. */
  readonly tap: Pick<Tap, "settled">;
  /** Wakes the writer thread, when it sleeps. */
  readonly wake: () => void;
  /** Shows a durable event to the viewers of its device. */
  readonly offerDevice: (event: StoredEvent) => void;
  /** Called after every push: the stream may have news, the epoch may be full. */
  readonly onAccepted: (rows: number) => void;
  readonly now: () => number;
}

export interface Intake {
  /**
   * Takes one delivery as a whole: stages it, decides, hands it over as one frame, and resolves once that is durable. It must not
   * be told as accepted before. A refusal left nothing behind. `key` is remembered with the events.
   *
   * @example
   * const outcome = await intake.take(delivery, payload, principal);
   * if (!(outcome instanceof Refusal)) acknowledge(message);
   */
  take(
    delivery: Delivery,
    body: Uint8Array,
    principal: IngestPrincipal,
    key?: IntakeKey | null,
  ): Promise<Accepted | Refusal>;
  /** Why nothing is taken now, if so. */
  closed(): Refusal | undefined;
  readonly counts: IngestCounters;
  /** Reports of the writer thread, in its order. `cuts`: where the rows are in a shared journal. */
  durable(rows: number, cuts?: ShardEpochs): void;
  refused(rows: number, reason: "journal_full" | "journal_failed", message: string): void;
  /** The shared journal does not answer: everything is refused at once, until this is null again. */
  away(reason: string | null): void;
  /** Nothing more is taken from here on. Resolves when everything that was taken is durable. */
  close(): Promise<void>;
}

/** An idempotency key, and who remembers its answer once the events are durable. */
export interface IntakeKey {
  readonly key: string;
  remember(accepted: Accepted & { readonly atMs: number }): void;
}

const noMeta = new Uint8Array(0);
const textEncoder = new TextEncoder();
const shuttingDown = new Refusal("shutting_down", "the service is shutting down");

/** The way into the journal that all protocols share, from bytes to durable. One delivery is one frame in the ring. */
export function createIntake(deps: IntakeDeps): Intake {
  const { staging, aggregator, now } = deps;
  const acknowledgements = new Acknowledgements();
  const frames = new FramesInFlight();
  const counts = new IngestCounters(() => staging.journalFull);
  let closing = false;
  let awayRefusal: Refusal | undefined;
  let idle: (() => void) | undefined;

  /** Pure but for the staging and the key's tokens: what would be told, or why nothing is taken. */
  function decide(delivery: Delivery, body: Uint8Array, principal: IngestPrincipal): Decision | Refusal {
    const rejects = delivery.stage(body, staging);
    if (rejects instanceof Refusal) return rejects;
    const staged: Staged = { ...rejects, rowCount: staging.rowCount };
    const eventCount = staged.rowCount + staged.rejectedCount;
    const limited = principal.takeEvents(eventCount);
    if (limited !== undefined) {
      counts.refusedEvents(limited.code, eventCount);
      return limited;
    }
    const answer = delivery.conclude(staged);
    if (answer instanceof Refusal) counts.refusedEvents(answer.code, eventCount);
    else if (staged.rejectedCount > 0) counts.refusedEvents("invalid_events", staged.rejectedCount);
    return answer instanceof Refusal ? answer : { answer, rowCount: staged.rowCount };
  }

  /** From `begin` to the push nothing waits, so encoder, observations and ring see one delivery at a time. */
  function stage(delivery: Delivery, body: Uint8Array, principal: IngestPrincipal, atMs: number): Decision | Refusal {
    staging.begin(principal, atMs, body.length);
    try {
      const decision = decide(delivery, body, principal);
      if (decision instanceof Refusal || decision.rowCount === 0) staging.rollback();
      return decision;
    } catch (error) {
      staging.rollback();
      throw error;
    }
  }

  function settled(): void {
    if (acknowledgements.waiting === 0) idle?.();
  }

  const closed = (): Refusal | undefined => (closing ? shuttingDown : awayRefusal);

  return {
    counts,
    closed,
    async take(delivery, body, principal, key = null) {
      const refusal = closing ? shuttingDown : staging.refusalUnread(body.length);
      if (refusal !== undefined) return refusal;
      const atMs = now();
      const decision = stage(delivery, body, principal, atMs);
      if (decision instanceof Refusal) return decision;
      const { answer } = decision;
      // Nothing to store is stored from the start.
      if (decision.rowCount === 0) return { answer, epoch: 0 };
      const frame = staging.commit(key === null ? noMeta : keyMeta({ key: key.key, atMs, answer }));
      if (frame instanceof Refusal) return frame;
      const { rowCount, epoch } = frame;
      frames.push(rowCount, epoch);
      counts.taken(delivery.protocol, rowCount);
      deps.wake();
      deps.onAccepted(rowCount);
      const durability = await acknowledgements.wait(rowCount);
      if (!durability.ok) return refusalOf(durability);
      key?.remember({ answer, epoch, atMs });
      for (const event of frame.watched) deps.offerDevice(event);
      return { answer, epoch };
    },
    durable(rows, cuts) {
      counts.durable += rows;
      frames.take(rows, (count, epoch) => aggregator.fold(count, cuts ?? [epoch]));
      deps.tap.settled(rows, true);
      acknowledgements.durable(rows);
      settled();
    },
    refused(rows, reason, message) {
      counts.accepted -= rows;
      frames.take(rows, (count) => aggregator.discard(count));
      deps.tap.settled(rows, false);
      acknowledgements.refused(rows, reason, message);
      settled();
    },
    away(reason) {
      awayRefusal = reason === null ? undefined : new Refusal("journal_failed", `${reason}; nothing was accepted`);
    },
    close() {
      closing = true;
      return new Promise((resolve) => {
        if (acknowledgements.waiting === 0) resolve();
        else idle = resolve;
      });
    },
  };
}

interface Decision {
  readonly answer: string;
  readonly rowCount: number;
}

function refusalOf(durability: Extract<Durability, { ok: false }>): Refusal {
  const what = durability.reason === "journal_full" ? "the journal is full" : "the journal cannot be written";
  return new Refusal(durability.reason, `${what}; nothing was accepted`);
}

function keyMeta(record: KeyRecord): Uint8Array {
  return textEncoder.encode(`${JSON.stringify(record)}\n`);
}
