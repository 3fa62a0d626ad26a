const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const magicBytes = 4;
const checksumBytes = 4;
const blockHeaderBytes = 3;
/** By the two flag bits of a frame's descriptor. */
const dictionaryIdBytes = [0, 1, 2, 4];
const contentSizeBytes = [0, 2, 4, 8];

/**
 * Whether `bytes` are whole Zstandard frames from the first to the last, and nothing else. The decompressor of the runtime gives what it
 * has when the input ends early, and takes no notice of what follows a frame, so a body that was cut off would pass for a shorter
 * one. Looks at the headers of frames and blocks only. Source: RFC 8878, 3.1.
 */
export function isWholeZstd(bytes: Uint8Array): boolean {
  if (bytes.length === 0) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const end = endOfFrame(view, at);
    if (end === null || end > bytes.length) return false;
    at = end;
  }
  return true;
}

/** Null: no frame, or one whose end does not lie in the bytes. */
function endOfFrame(view: DataView, start: number): number | null {
  if (start + magicBytes + 1 > view.byteLength) return null;
  const magic = view.getUint32(start, true);
  const afterMagic = start + magicBytes;
  if ((magic & 0xfffffff0) >>> 0 === skippableMagic) {
    return afterMagic + 4 > view.byteLength ? null : afterMagic + 4 + view.getUint32(afterMagic, true);
  }
  if (magic !== frameMagic) return null;
  const descriptor = view.getUint8(afterMagic);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 0x04) !== 0;
  const sizeFlag = descriptor >>> 6;
  const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : (contentSizeBytes[sizeFlag] as number);
  const headerBytes = 1 + (isSingleSegment ? 0 : 1) + (dictionaryIdBytes[descriptor & 3] as number) + sizeBytes;
  const end = endOfBlocks(view, afterMagic + headerBytes);
  return end === null || !hasChecksum ? end : end + checksumBytes;
}

function endOfBlocks(view: DataView, start: number): number | null {
  for (let at = start; ; ) {
    if (at + blockHeaderBytes > view.byteLength) return null;
    const header = view.getUint8(at) | (view.getUint8(at + 1) << 8) | (view.getUint8(at + 2) << 16);
    const isLast = (header & 1) !== 0;
    const isRepeatedByte = ((header >>> 1) & 3) === 1;
    at += blockHeaderBytes + (isRepeatedByte ? 1 : header >>> 3);
    if (isLast) return at;
  }
}
