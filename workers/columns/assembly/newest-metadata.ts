import { copyShort } from "./heap";
import { stringBytes } from "./lengths";
import { Metadata } from "./records";

/** Between the keys and values of the text; ddl/005_fleet.sql describes it, and the state round it. */
const separator: u32 = 0x1f;
const none: u32 = 0xffff_ffff;
/** The text's length, its end, whether there is a time, the time. */
const stateFixedBytes: u64 = 4 + 1 + 1 + 8;
/** What JSON makes of a byte at most: \u001F. */
const escapedBytesMax: u64 = 6;

/** At least the bytes that `writeMetadataState` takes. */
export function metadataStateMax(metadata: Metadata): u64 {
  if (changetype<usize>(metadata) === 0) return 5;
  const bytes = <u64>metadata.bytes;
  return stateFixedBytes + (containsSeparator(metadata) ? 2 + bytes * escapedBytesMax + 6 * <u64>metadata.pairs : bytes);
}

/** The state of argMax(metadata as a text, timestamp) of one device; null: none of its events has any. Gives its end. */
export function writeMetadataState(to: usize, metadata: Metadata, timestamp: i64): usize {
  if (changetype<usize>(metadata) === 0) {
    store<u32>(to, none);
    store<u8>(to, 0, 4);
    return to + 5;
  }
  const start = to + 4;
  const end = containsSeparator(metadata) ? writeJson(start, metadata) : writeJoined(start, metadata);
  store<u32>(to, <u32>(end - start + 1));
  store<u8>(end, 0);
  store<u8>(end, 1, 1);
  store<i64>(end, timestamp, 2);
  return end + 10;
}

@inline
function pairsAt(metadata: Metadata): usize {
  return changetype<usize>(metadata) + offsetof<Metadata>() + (metadata.bytes - metadata.keyBytes - metadata.valueBytes);
}

/** In one of its strings. Lengths may look like it, so they are looked at only when it is somewhere. */
function containsSeparator(metadata: Metadata): bool {
  let at = pairsAt(metadata);
  if (!containsByte(at, metadata.keyBytes + metadata.valueBytes, separator)) return false;
  for (let left = metadata.pairs * 2; left > 0; left--) {
    const end = at + stringBytes(at);
    for (at = contentAt(at); at < end; at++) if (load<u8>(at) === separator) return true;
  }
  return false;
}

/** Among so many bytes, or the few behind them: a false alarm does no harm. */
function containsByte(at: usize, bytes: u32, byte: u32): bool {
  const wanted = i8x16.splat(<u8>byte);
  for (let done: u32 = 0; done < bytes; done += 16) {
    if (v128.any_true(i8x16.eq(v128.load(at + done), wanted))) return true;
  }
  return false;
}

@inline
function contentAt(at: usize): usize {
  while (load<u8>(at) > 127) at++;
  return at + 1;
}

/** All keys, then all values, each behind a separator. */
function writeJoined(to: usize, metadata: Metadata): usize {
  for (let which: u32 = 0; which < 2; which++) {
    let at = pairsAt(metadata);
    for (let index: u32 = 0; index < metadata.pairs * 2; index++) {
      const end = at + stringBytes(at);
      if ((index & 1) === which) {
        const content = contentAt(at);
        store<u8>(to++, separator);
        copyShort(to, content, end - content);
        to += end - content;
      }
      at = end;
    }
  }
  return to;
}

/** As ClickHouse's toJSONString writes it. */
function writeJson(to: usize, metadata: Metadata): usize {
  let at = pairsAt(metadata);
  store<u8>(to++, 0x7b);
  for (let index: u32 = 0; index < metadata.pairs * 2; index++) {
    const end = at + stringBytes(at);
    if (index > 0) store<u8>(to++, index & 1 ? 0x3a : 0x2c);
    to = writeQuoted(to, contentAt(at), end);
    at = end;
  }
  store<u8>(to++, 0x7d);
  return to;
}

function writeQuoted(to: usize, at: usize, end: usize): usize {
  store<u8>(to++, 0x22);
  for (; at < end; at++) {
    const byte = <u32>load<u8>(at);
    const short = shortEscape(byte);
    if (short !== 0) {
      store<u8>(to++, 0x5c);
      store<u8>(to++, short);
    } else if (byte < 0x20) {
      to = writeEscape(to, byte);
    } else if (byte === 0xe2 && at + 2 < end && load<u8>(at, 1) === 0x80 && (load<u8>(at, 2) | 1) === 0xa9) {
      // Line and paragraph separator, U+2028 and U+2029.
      to = writeEscape(to, 0x2000 | (<u32>load<u8>(at, 2) - 0x80));
      at += 2;
    } else {
      store<u8>(to++, byte);
    }
  }
  store<u8>(to++, 0x22);
  return to;
}

/** The letter behind the backslash; 0: there is none. */
function shortEscape(byte: u32): u32 {
  switch (byte) {
    case 0x22:
    case 0x5c:
    case 0x2f:
      return byte;
    case 0x08:
      return 0x62;
    case 0x09:
      return 0x74;
    case 0x0a:
      return 0x6e;
    case 0x0c:
      return 0x66;
    case 0x0d:
      return 0x72;
    default:
      return 0;
  }
}

function writeEscape(to: usize, unit: u32): usize {
  store<u8>(to++, 0x5c);
  store<u8>(to++, 0x75);
  for (let shift: i32 = 12; shift >= 0; shift -= 4) {
    const digit = (unit >> shift) & 15;
    store<u8>(to++, digit < 10 ? 0x30 + digit : 0x37 + digit);
  }
  return to;
}
