/** Strings have their length before them, as a LEB128 number. Reads up to eight bytes from where one begins. */

/** How many bytes a length takes that begins there. */
@inline
export function lengthBytes(at: usize): usize {
  return 1 + <usize>(ctz<u64>(~load<u64>(at) & 0x8080808080808080) >> 3);
}

/** A length of up to five bytes. */
export function readLength(at: usize): usize {
  let value: usize = 0;
  for (let shift: usize = 0; shift < 35; shift += 7) {
    const byte = <usize>load<u8>(at++);
    value |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  return value;
}

/** Of a string that is known to be whole, with its length. */
@inline
export function stringBytes(at: usize): usize {
  const first = <usize>load<u8>(at);
  return first < 128 ? 1 + first : lengthBytes(at) + readLength(at);
}

/** Behind the string that begins there; 0 when that is behind `end`. */
@inline
export function skipString(at: usize, end: usize): usize {
  const first = <usize>load<u8>(at);
  if (first > 127) return skipLong(at, end);
  at += 1 + first;
  return at > end ? 0 : at;
}

function skipLong(at: usize, end: usize): usize {
  const length = readLength(at);
  at += lengthBytes(at);
  return at > end || length > end - at ? 0 : at + length;
}

export function writeLength(to: usize, length: u32): usize {
  while (length > 127) {
    store<u8>(to++, (length & 127) | 128);
    length >>= 7;
  }
  store<u8>(to++, length);
  return to;
}
