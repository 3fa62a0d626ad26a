import { decodeFrameHeader, type FrameHeader, frameBytes, frameHeaderBytes, frameMagicBytes } from "./frame.ts";
import type { Window } from "./window.ts";

/** Bytes of a file from `start` up to, not including, `end`. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

export interface ScanResult {
  /** Runs of whole, checked frames, in order. */
  readonly extents: Extent[];
  /** What lies between them. */
  readonly damaged: Extent[];
  /** What follows the last whole frame: torn by a crash, or damaged; nobody can tell. Empty in most files. */
  readonly tail: Extent;
  /** Where the last whole frame starts. */
  readonly lastFrameAt: number;
  readonly rows: number;
  readonly rowBytes: number;
  readonly metaBytes: number;
  /** Rows that the damage took, as far as the frames behind it tell. */
  readonly missingRows: number;
}

/**
 * Checks every frame of the given parts of a file; where one is broken, goes on at the next that is whole. `onMeta`'s
 * bytes are the callee's.
 */
export function scanFrames(
  window: Window,
  seed: number,
  parts: readonly Extent[],
  onMeta: (meta: Uint8Array) => void,
): ScanResult {
  const extents: Extent[] = [];
  const damaged: Extent[] = [];
  const sum = { rows: 0, rowBytes: 0, metaBytes: 0, missingRows: 0 };
  let position = 0;
  let lastFrameAt = 0;
  for (const part of parts) {
    let wholeEnd = part.start;
    for (let at = part.start; at < part.end; ) {
      const frame = decodeFrameHeader(window.bytes(at, frameHeaderBytes), seed);
      const fits = frame !== null && at + frameBytes(frame) <= part.end && frame.position >= position;
      const next = fits ? at + frameBytes(frame) : at;
      if (!fits || !checkPayload(window, seed, at, frame, onMeta)) {
        // A sound header says where its broken frame ends; otherwise the next header has to be looked for.
        at = fits ? next : findFrame(window, seed, at + 1, part.end);
        continue;
      }
      const last = extents.at(-1);
      if (last?.end === at) extents[extents.length - 1] = { start: last.start, end: next };
      else extents.push({ start: at, end: next });
      if (at > wholeEnd) damaged.push({ start: wholeEnd, end: at });
      sum.rows += frame.rows;
      sum.rowBytes += frame.rowBytes;
      sum.metaBytes += frame.metaBytes;
      sum.missingRows += frame.position - position;
      position = frame.position + frame.rows;
      lastFrameAt = at;
      at = wholeEnd = next;
    }
    if (wholeEnd < part.end) damaged.push({ start: wholeEnd, end: part.end });
  }
  const end = parts.at(-1)?.end ?? 0;
  const tail = damaged.at(-1)?.end === end ? damaged.pop() : undefined;
  return { extents, damaged, tail: tail ?? { start: end, end }, lastFrameAt, ...sum };
}

function checkPayload(
  window: Window,
  seed: number,
  at: number,
  frame: FrameHeader,
  onMeta: (meta: Uint8Array) => void,
): boolean {
  const metaAt = at + frameHeaderBytes;
  const meta = frame.metaBytes === 0 ? null : copyBytes(window, { start: metaAt, end: metaAt + frame.metaBytes });
  let crc = meta === null ? seed : Bun.hash.crc32(meta, seed);
  const end = at + frameBytes(frame);
  for (let next = metaAt + frame.metaBytes; next < end; ) {
    const piece = window.piece(next, end);
    if (piece.length === 0) return false;
    crc = Bun.hash.crc32(piece, crc);
    next += piece.length;
  }
  if (crc !== frame.payloadCrc) return false;
  if (meta !== null) onMeta(meta);
  return true;
}

export function copyBytes(window: Window, extent: Extent): Uint8Array {
  const copy = new Uint8Array(extent.end - extent.start);
  for (let done = 0; done < copy.length; ) {
    const piece = window.piece(extent.start + done, extent.end);
    if (piece.length === 0) break;
    copy.set(piece, done);
    done += piece.length;
  }
  return copy;
}

function findFrame(window: Window, seed: number, from: number, end: number): number {
  for (let at = from; at < end; ) {
    const piece = window.piece(at, end);
    if (piece.length < frameMagicBytes.length) {
      // The rest of the buffer may hold the beginning of a magic: have it loaded from there.
      if (window.bytes(at, frameMagicBytes.length).length < frameMagicBytes.length) return end;
      continue;
    }
    const found = Buffer.from(piece.buffer, piece.byteOffset, piece.length).indexOf(frameMagicBytes);
    if (found < 0) {
      at += piece.length - frameMagicBytes.length + 1;
      continue;
    }
    at += found;
    if (decodeFrameHeader(window.bytes(at, frameHeaderBytes), seed) !== null) return at;
    at++;
  }
  return end;
}

/** Frame after frame of checked extents: header and offset, without reading the rows. */
export function* walkFrames(
  window: Window,
  seed: number,
  extents: readonly Extent[],
): Generator<{ at: number; frame: FrameHeader }> {
  for (const extent of extents) {
    for (let at = extent.start; at < extent.end; ) {
      const frame = decodeFrameHeader(window.bytes(at, frameHeaderBytes), seed);
      if (frame === null) throw new Error(`no frame at byte ${at}, where one was before`);
      yield { at, frame };
      at += frameBytes(frame);
    }
  }
}
