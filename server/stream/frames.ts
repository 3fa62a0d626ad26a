import type { AlertsUpdate } from "../../contract/alerts.ts";
import type { StoredEvent } from "../../contract/event.ts";
import type { Change, ChangesUpdate } from "../../contract/fleet.ts";
import { limits } from "../../contract/limits.ts";
import type { Update } from "../../contract/stream.ts";

const encoder = new TextEncoder();

/** A comment: keeps proxies and Bun from taking a quiet stream for a dead one. */
export const heartbeat = encoder.encode(":\n\n");

/** First bytes of every stream: a comment, so that headers leave at once, and when to come back after a break. */
export function encodeGreeting(retryMs: number): Uint8Array {
  return encoder.encode(`: sluice\nretry: ${retryMs}\n\n`);
}

/** The update as one event, with at most as many types as asked; whoever has the same limit gets the same bytes. */
export function createUpdateEncoder(update: Update, id: string): (limit: number) => Uint8Array {
  const { aggregations, timestamp, window_seconds, ...rest } = update;
  const rows = aggregations.map((row) => JSON.stringify(row));
  const head = `id: ${id}\nevent: update\ndata: ${JSON.stringify({ timestamp, window_seconds }).slice(0, -1)},"aggregations":[`;
  const tail = `],${JSON.stringify(rest).slice(1)}\n\n`;
  return (limit) => encoder.encode(head + rows.slice(0, limit).join(",") + tail);
}

/** Without an id: a resumed stream does not repeat a device's events, and updates keep theirs. */
export function encodeDeviceEvent(event: StoredEvent, skipped: number): Uint8Array {
  return encoder.encode(`event: device\ndata: ${JSON.stringify({ ...event, skipped })}\n\n`);
}

/** The newest of what happened to devices; `missed` are changes that this stream was not told of. */
export function encodeChanges(changes: readonly Change[], missed: number): Uint8Array {
  const shown = changes.slice(-limits.changesInUpdate);
  const update: ChangesUpdate = { changes: shown, skipped: missed + changes.length - shown.length };
  return encoder.encode(`event: changes\ndata: ${JSON.stringify(update)}\n\n`);
}

/** What fires now. Without an id, as it is sent anew to every stream that opens. */
export function encodeAlerts(update: AlertsUpdate): Uint8Array {
  return encoder.encode(`event: alerts\ndata: ${JSON.stringify(update)}\n\n`);
}

export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array;
  return Buffer.concat(chunks);
}

/** The newest frames of one limit, for streams that resume; bounded in bytes. */
export class FrameRing {
  readonly #frames: { sequence: number; bytes: Uint8Array }[] = [];
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(sequence: number, bytes: Uint8Array): void {
    this.#frames.push({ sequence, bytes });
    this.#bytes += bytes.length;
    while (this.#bytes > this.#bytesMax) this.#bytes -= (this.#frames.shift() as { bytes: Uint8Array }).bytes.length;
  }

  /** Every frame after `sequence`, or null when some of them are gone. */
  after(sequence: number): Uint8Array[] | null {
    const first = this.#frames[0];
    if (!first || sequence < first.sequence - 1) return null;
    return this.#frames.filter((frame) => frame.sequence > sequence).map((frame) => frame.bytes);
  }
}
