import type { StoredEvent } from "../../contract/event.ts";
import type { Retention } from "../../ddl/retention.ts";
import type { WriterClient } from "../../workers/client.ts";
import type { KeyRecord } from "../../workers/journal/journal.ts";
import type { Access, IngestPrincipal } from "../access/access.ts";
import { noTap, type Tap } from "../alerts/event-tap.ts";
import { maxFrameBytes } from "../config/limits.ts";
import type { Refusal } from "../http/refusal.ts";
import type { Aggregator } from "../live-view/aggregator.ts";
import type { Share } from "../live-view/shared/share.ts";
import { type Accepted, StoredWaiters } from "./acknowledgements.ts";
import type { IngestCounts } from "./counts.ts";
import type { Delivery, IngestFormat } from "./format.ts";
import { createOnce, IdempotencyKeys } from "./idempotency.ts";
import { createIngestHandler } from "./ingest-handler.ts";
import { createIntake, type Intake } from "./intake.ts";
import { createJsonFormat } from "./json/json-format.ts";
import { createBodyReader } from "./request-body.ts";
import { Staging } from "./staging.ts";

export interface IngestDeps {
  readonly access: Pick<Access, "ingest">;
  readonly writer: Pick<WriterClient, "ring" | "wake">;
  readonly aggregator: Pick<Aggregator, "types" | "queue" | "currentEpoch" | "fold" | "discard">;
  /** Follows single devices for the viewers who watch them. */
  readonly watch: {
    readonly watchedDevices: { readonly size: number; has(deviceId: string): boolean };
    offerDevice(event: StoredEvent): void;
  };
  /** Events under alert rules. Default: there are no rules. */
  readonly tap?: Tap;
  /** Called after every push: the stream may have news, the epoch may be full. */
  readonly onAccepted: (rows: number) => void;
  readonly now: () => number;
  /** With several instances: who has a key, across them. */
  readonly sharedKeys?: () => Pick<Share, "reserveKey" | "releaseKey"> | null;
}

export interface IngestOptions {
  readonly maxBodyBytes: number;
  readonly maxEvents: number;
  readonly bodyTimeoutMs: number;
  readonly inFlightMaxBytes: number;
  readonly maxClockSkewFutureMs: number;
  readonly maxEventAgeMs: number;
  /** An event past the retention of its type is refused: it would be deleted, and counted all the same. */
  readonly retention: Retention;
  readonly journalMaxBytes: number;
  readonly idempotencyMaxKeys: number;
}

export interface Ingest extends Pick<Intake, "take" | "durable" | "refused" | "away"> {
  /** POST /ingest. */
  handle(request: Request): Promise<Response>;
  /** A handler for one more protocol over HTTP; see `format.ts`. */
  handlerOf(format: IngestFormat): (request: Request) => Promise<Response>;
  /** `take` with an idempotency key, for protocols without HTTP. */
  takeOnce(delivery: Delivery, body: Uint8Array, principal: IngestPrincipal, key: string): Promise<Accepted | Refusal>;
  readonly counts: IngestCounts;
  /** Exemplars of a metric were not kept. */
  dropExemplars(count: number): void;
  /** Before the first request: what an earlier run left. Its batches have the epochs from 1 on. */
  recover(keys: readonly KeyRecord[], batches: number): void;
  stored(epoch: number, complete: boolean): void;
  /**
   * From here on every request gets 503, one whose body is still on its way included. Resolves when every event that was taken
   * is durable; requests with `wait=stored` go on waiting, for what is flushed now.
   */
  close(): Promise<void>;
  /** Nothing will be confirmed any more: requests with `wait=stored` get their 202. Resolves when those are on their way. */
  giveUp(): Promise<void>;
}

/** The front door: the parts of this folder put together. What happens to a request is told in `format.ts`. */
export function createIngest(deps: IngestDeps, options: IngestOptions): Ingest {
  const { access, writer, aggregator, watch, now } = deps;
  const tap = deps.tap ?? noTap;
  const storedWaiters = new StoredWaiters();
  const keys = new IdempotencyKeys(options.idempotencyMaxKeys);
  const bodies = createBodyReader({
    maxBodyBytes: options.maxBodyBytes,
    timeoutMs: options.bodyTimeoutMs,
    inFlightMaxBytes: options.inFlightMaxBytes,
  });
  const frameMaxBytes = maxFrameBytes(options);
  const { watchedDevices } = watch;
  const intake = createIntake({
    staging: new Staging({ ring: writer.ring, aggregator, watchedDevices, tap }, { ...options, frameMaxBytes }),
    aggregator,
    tap,
    wake: () => writer.wake(),
    offerDevice: (event) => watch.offerDevice(event),
    onAccepted: deps.onAccepted,
    now,
  });
  const once = createOnce({ keys, now, sharedKeys: () => deps.sharedKeys?.() ?? null });

  const handlerOf = (format: IngestFormat) =>
    createIngestHandler({ access, intake, once, bodies, storedWaiters }, format);
  return {
    ...intake,
    handlerOf,
    takeOnce: (delivery, body, principal, key) =>
      once(principal.name, key, (own) => intake.take(delivery, body, principal, own)),
    handle: handlerOf(createJsonFormat()),
    dropExemplars(count) {
      intake.counts.exemplarsDropped += count;
    },
    recover(records, batches) {
      keys.recover(records, batches);
      storedWaiters.recovered(batches);
    },
    stored: (epoch, complete) => storedWaiters.stored(epoch, complete),
    close() {
      bodies.stop();
      return intake.close();
    },
    giveUp() {
      storedWaiters.giveUp();
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}
