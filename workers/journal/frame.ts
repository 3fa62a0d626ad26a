import { closeSync, openSync, readSync } from "node:fs";
import { rowFormatVersion } from "../../contract/row.ts";

/**
 * The bytes of a journal file: a header, twice, in a disk sector each, so that a damaged sector does not cost the file;
 * then frames, each a header of 32 bytes, the meta and the rows of one append. Numbers are little-endian.
 *
 * Every frame's checksums start from the file header's, which holds a random nonce. So bytes of another file, left
 * behind on the disk, are no frames of this one, and nobody outside can send a row that looks like a frame.
 */
export const fileHeaderBytes = 1024;
export const frameHeaderBytes = 32;
/** Changes whenever the layout does. */
export const fileFormatVersion = 1;

const sectorBytes = 512;
const fileMagic = 0x4a4c_5301;
const frameMagic = 0x4672_a55e;
/** The frame's magic as it lies in the file, to look for it. */
export const frameMagicBytes = Buffer.from(new Uint32Array([frameMagic]).buffer);
const checkedFileHeaderBytes = 68;
const two32 = 2 ** 32;

export type FileKind = "segment" | "keys";
const kinds: readonly FileKind[] = ["segment", "keys"];

/** 16 lower-case hexadecimal digits. */
export const idPattern = /^[0-9a-f]{16}$/;

export interface FileHeader {
  readonly kind: FileKind;
  readonly journalId: string;
  readonly number: number;
  /** Random, of `idPattern`: two files never share a token, even where a number comes again. */
  readonly nonce: string;
  readonly createdAtMs: number;
  /** Of a segment: see `Batch.ownStates`. Zero in files of releases that did not know of it, so their batches stay as they were. */
  readonly ownStates: boolean;
}

export interface ReadFileHeader extends FileHeader {
  /** Where the checksums of the file's frames start. */
  readonly seed: number;
}

export function encodeFileHeader(header: FileHeader): { bytes: Uint8Array; seed: number } {
  const bytes = Buffer.alloc(fileHeaderBytes);
  bytes.writeUInt32LE(fileMagic, 0);
  bytes.writeUInt32LE(fileFormatVersion, 4);
  bytes.writeUInt32LE(rowFormatVersion, 8);
  bytes.writeUInt32LE(kinds.indexOf(header.kind), 12);
  bytes.writeBigUInt64LE(BigInt(header.number), 16);
  bytes.writeDoubleLE(header.createdAtMs, 24);
  bytes.write(header.journalId, 32, "latin1");
  bytes.write(header.nonce, 48, "latin1");
  bytes.writeUInt32LE(header.ownStates ? 1 : 0, 64);
  const seed = Bun.hash.crc32(bytes.subarray(0, checkedFileHeaderBytes));
  bytes.writeUInt32LE(seed, checkedFileHeaderBytes);
  bytes.copyWithin(sectorBytes, 0, sectorBytes);
  return { bytes, seed };
}

export type FileHeaderResult =
  | { readonly ok: true; readonly header: ReadFileHeader }
  | { readonly ok: false; readonly reason: string };

/** Reads either copy. Versions come before the checksum: a header of another version may have it elsewhere. */
export function decodeFileHeader(bytes: Uint8Array): FileHeaderResult {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = decodeHeaderCopy(buffer.subarray(0, sectorBytes));
  if (first.ok) return first;
  const second = decodeHeaderCopy(buffer.subarray(sectorBytes, fileHeaderBytes));
  return second.ok ? second : first;
}

/** Version of a file that a newer release has written, as both copies of its header say; null for any other file. */
export function newerVersionOf(path: string): string | null {
  const bytes = Buffer.alloc(fileHeaderBytes);
  const descriptor = openSync(path, "r");
  try {
    if (readSync(descriptor, bytes, 0, fileHeaderBytes, 0) < fileHeaderBytes) return null;
  } finally {
    closeSync(descriptor);
  }
  const [first, second] = [bytes.subarray(0, 12), bytes.subarray(sectorBytes, sectorBytes + 12)];
  // Damage would hardly be the same in both.
  if (!first.equals(second) || first.readUInt32LE(0) !== fileMagic) return null;
  const [file, row] = [first.readUInt32LE(4), first.readUInt32LE(8)];
  return file > fileFormatVersion || row > rowFormatVersion ? `${file}.${row}` : null;
}

function decodeHeaderCopy(bytes: Buffer): FileHeaderResult {
  if (bytes.length < checkedFileHeaderBytes + 4) return { ok: false, reason: "shorter than a header" };
  if (bytes.readUInt32LE(0) !== fileMagic) return { ok: false, reason: "not a journal file" };
  const versions = [bytes.readUInt32LE(4), bytes.readUInt32LE(8)];
  if (versions[0] !== fileFormatVersion || versions[1] !== rowFormatVersion) {
    return { ok: false, reason: `of version ${versions.join(".")}, this is ${fileFormatVersion}.${rowFormatVersion}` };
  }
  const seed = Bun.hash.crc32(bytes.subarray(0, checkedFileHeaderBytes));
  if (bytes.readUInt32LE(checkedFileHeaderBytes) !== seed) return { ok: false, reason: "its header is damaged" };
  const kind = kinds[bytes.readUInt32LE(12)];
  const number = Number(bytes.readBigUInt64LE(16));
  const createdAtMs = bytes.readDoubleLE(24);
  const journalId = bytes.toString("latin1", 32, 48);
  const nonce = bytes.toString("latin1", 48, 64);
  const ownStates = bytes.readUInt32LE(64);
  // A checksum says that nothing changed, not that it was we who wrote it.
  const sane =
    kind !== undefined &&
    Number.isSafeInteger(number) &&
    Number.isFinite(createdAtMs) &&
    ownStates <= 1 &&
    idPattern.test(journalId) &&
    idPattern.test(nonce);
  return sane
    ? { ok: true, header: { kind, journalId, number, nonce, createdAtMs, ownStates: ownStates === 1, seed } }
    : { ok: false, reason: "its header makes no sense" };
}

export interface FrameHeader {
  readonly rowBytes: number;
  readonly metaBytes: number;
  readonly rows: number;
  /** Index of its first row in the file; behind damage it tells how many rows are missing. */
  readonly position: number;
  readonly payloadCrc: number;
}

export const frameBytes = (frame: FrameHeader): number => frameHeaderBytes + frame.metaBytes + frame.rowBytes;

/** Writes the header of a frame into `into` (32 bytes). */
export function encodeFrameHeader(
  into: Buffer,
  seed: number,
  frame: { rows: Uint8Array; meta: Uint8Array; rowCount: number; position: number },
): void {
  into.writeUInt32LE(frameMagic, 0);
  into.writeUInt32LE(frame.rows.length, 4);
  into.writeUInt32LE(frame.meta.length, 8);
  into.writeUInt32LE(frame.rowCount, 12);
  into.writeUInt32LE(frame.position % two32, 16);
  into.writeUInt32LE(Math.floor(frame.position / two32), 20);
  into.writeUInt32LE(Bun.hash.crc32(frame.rows, Bun.hash.crc32(frame.meta, seed)), 24);
  into.writeUInt32LE(Bun.hash.crc32(into.subarray(0, 28), seed), 28);
}

/** The header's own checksum makes a candidate cheap to turn down when damage is searched for the next frame. */
export function decodeFrameHeader(bytes: Uint8Array, seed: number): FrameHeader | null {
  if (bytes.length < frameHeaderBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, frameHeaderBytes);
  if (view.getUint32(0, true) !== frameMagic) return null;
  if (view.getUint32(28, true) !== Bun.hash.crc32(bytes.subarray(0, 28), seed)) return null;
  return {
    rowBytes: view.getUint32(4, true),
    metaBytes: view.getUint32(8, true),
    rows: view.getUint32(12, true),
    position: view.getUint32(20, true) * two32 + view.getUint32(16, true),
    payloadCrc: view.getUint32(24, true),
  };
}
