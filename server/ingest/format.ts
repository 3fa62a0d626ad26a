import type { EventError } from "../../contract/ingest.ts";
import type { Refusal } from "../http/refusal.ts";
import type { Staging } from "./staging.ts";

/**
 * The seam between the protocols and the one way into the journal.
 *
 * A format is a folder under `server/ingest/` that knows one protocol: how a request says what it wants, how its bytes become
 * events, what is refused, and how success and refusal read on that protocol. Everything else is shared and done around it, in
 * this order: is the service taking events; whose key is it; `open`; the idempotency key; the body within its limits of size,
 * time and memory, decompressed; `stage`; the key's rate limit; `conclude`; the push into the ring as one frame; the wait until the
 * frame is durable; with `waitStored`, the wait until it is in ClickHouse; `respond`. A refusal at any step goes to `refuse`, and
 * leaves nothing behind.
 *
 * To add a format: write the folder, then register it with a row in `protocols.ts`. A protocol without HTTP (MQTT) uses
 * the same `stage` and `conclude` through `Intake.take`, with a principal of its own.
 *
 * @example
 * const lines: IngestFormat = {
 *   credential: ({ headers }) => tokenOf(headers),
 *   open(request) {
 *     const unit = precisionOf(request.url);
 *     return unit instanceof Refusal ? unit : new LineReading(unit);
 *   },
 *   refuse: (refusal) => Response.json({ code: "invalid", message: refusal.message }, { status: 400 }),
 * };
 */
export interface IngestFormat {
  /** Its name in /metrics. */
  readonly protocol: string;
  /** The key that a request presents, if any: each protocol has its own place for it. */
  credential(request: Request): string | null;
  /** Looks at the query and the headers only. Says how the body is to be read, or why it is not read at all. */
  open(request: Request): Reading | Refusal;
  /** A refusal in the protocol's own shape. `request` tells the encoding of the answer where there are several. */
  refuse(refusal: Refusal, request: Request): Response;
}

/** What `Intake.take` needs: how one delivery becomes rows, and what its sender is told. */
export interface Delivery {
  readonly protocol: string;
  /**
   * Adds the good events of `body` to `staging` and collects what is wrong with the others. Runs to its end without waiting: the
   * staging is one for all requests. A refusal is for what is wrong with the body as a whole.
   */
  stage(body: Uint8Array, staging: Staging): Rejects | Refusal;
  /**
   * Decides about what was staged: the text that the sender's answer is made of, or the refusal of all of it. The text is what an
   * idempotency key remembers, so it has to say everything that `respond` needs.
   */
  conclude(staged: Staged): string | Refusal;
}

/** How one request is read. Without state that outlives the request; formats with few variants keep one for each. */
export interface Reading extends Delivery {
  /** The answer waits until the events are in ClickHouse. */
  readonly waitStored: boolean;
  /**
   * An idempotency key that the body itself implies, for protocols whose clients send none. Asked only when the request has no
   * `Idempotency-Key`; null: this body implies none.
   */
  readonly keyOf?: (body: Uint8Array) => string | null;
  /** `stored`: the events were confirmed by ClickHouse within the time that `waitStored` gives them. */
  respond(answer: string, stored: boolean): Response;
}

/** The events of one delivery that were not staged. */
export interface Rejects {
  /** In the order of the events; at most `limits.errorDetails` of them. */
  readonly rejected: readonly EventError[];
  readonly rejectedCount: number;
}

export interface Staged extends Rejects {
  /** Events that were good. */
  readonly rowCount: number;
}

export const noRejects: Rejects = { rejected: [], rejectedCount: 0 };
