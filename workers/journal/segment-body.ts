import { Readable } from "node:stream";
import { RowBinaryReader, skipRow } from "../../contract/row.ts";
import type { Files, OpenFile } from "./files.ts";
import { decodeFrameHeader, frameBytes, frameHeaderBytes } from "./frame.ts";
import { copyBytes, walkFrames } from "./frame-scan.ts";
import type { RowPlace, RowRange } from "./journal.ts";
import { Window } from "./window.ts";

const chunkBytes = 1 << 20;
/** For reading headers one after the other: enough for many small frames, little lost on a large one. */
export const walkBufferBytes = 1 << 16;

export interface BodySource extends RowPlace {
  readonly files: Files;
}

/** A place in the rows of a file: the offset of a byte, and how many bytes of its frame's rows are still to come there. */
interface Place {
  readonly at: number;
  readonly rowBytesLeft: number;
}

/** The rows of a segment, headers and meta squeezed out, in chunks of up to 1 MiB. */
export function createBody(source: BodySource, range: RowRange | undefined): Readable {
  let file: OpenFile | null = null;
  let chunks: Iterator<Uint8Array> | null = null;
  return new Readable({
    highWaterMark: chunkBytes,
    read() {
      try {
        file ??= source.files.open(source.path, "read");
        chunks ??= readRows(file, source, range, null);
        const next = chunks.next();
        this.push(next.done ? null : next.value);
      } catch (error) {
        this.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    },
    destroy(error, done) {
      const opened = file;
      file = null;
      opened?.close();
      done(error);
    },
  });
}

/** The same through one buffer: each chunk is valid until the next one is asked for. */
export function* readBody(source: BodySource, range: RowRange | undefined, buffer: Uint8Array): Generator<Uint8Array> {
  const file = source.files.open(source.path, "read");
  try {
    yield* readRows(file, source, range, buffer);
  } finally {
    file.close();
  }
}

/** `buffer` null: whoever reads may still hold the chunk before, so each is a new one. */
function* readRows(
  file: OpenFile,
  source: BodySource,
  range: RowRange | undefined,
  buffer: Uint8Array | null,
): Generator<Uint8Array> {
  const { seed } = source;
  const from = range && range.from > 0 ? findRow(file, source, range.from) : null;
  const to = range && range.to < source.rowCount ? findRow(file, source, range.to).at : Number.POSITIVE_INFINITY;
  for (const extent of source.extents) {
    if (extent.end <= (from?.at ?? 0)) continue;
    const end = Math.min(extent.end, to);
    let at = from && from.at > extent.start ? from.at : extent.start;
    let rowBytesLeft = from && from.at > extent.start ? from.rowBytesLeft : 0;
    while (at < end) {
      const length = Math.min(buffer?.length ?? chunkBytes, end - at);
      const chunk = buffer === null ? new Uint8Array(length) : buffer.subarray(0, length);
      if (file.read(chunk, at) < chunk.length) throw new Error(`${source.path} has become shorter`);
      let next = 0;
      let first = 0;
      let last = 0;
      for (;;) {
        const taken = Math.min(rowBytesLeft, chunk.length - next);
        // The first run of rows stays where it is; only what follows a header has to be moved up to it.
        if (last === 0) first = last = next;
        if (last !== next) chunk.copyWithin(last, next, next + taken);
        last += taken;
        next += taken;
        rowBytesLeft -= taken;
        if (next + frameHeaderBytes > chunk.length) break;
        const frame = decodeFrameHeader(chunk.subarray(next, next + frameHeaderBytes), seed);
        if (frame === null) throw new Error(`${source.path} has no frame at byte ${at + next}, where one was before`);
        next += frameHeaderBytes + frame.metaBytes;
        rowBytesLeft = frame.rowBytes;
        if (next >= chunk.length) break;
      }
      // A header that the chunk cuts in two is read again with the next one; meta may reach beyond the chunk.
      at += next;
      if (last > first) yield chunk.subarray(first, last);
    }
  }
}

/** Where the row with this index starts. */
function findRow(file: OpenFile, source: BodySource, index: number): Place {
  const window = new Window(file, new Uint8Array(walkBufferBytes));
  let first = 0;
  for (const { at, frame } of walkFrames(window, source.seed, source.extents)) {
    if (index < first + frame.rows) {
      const start = at + frameHeaderBytes + frame.metaBytes;
      const end = at + frameBytes(frame);
      const reader = new RowBinaryReader(copyBytes(window, { start, end }));
      for (let skipped = first; skipped < index; skipped++) skipRow(reader);
      return { at: start + reader.offset, rowBytesLeft: end - start - reader.offset };
    }
    first += frame.rows;
  }
  throw new RangeError(`row ${index} of ${source.rowCount}`);
}
