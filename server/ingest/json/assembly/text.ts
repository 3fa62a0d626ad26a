export const quote: u8 = 34;
export const backslash: u8 = 92;

/** Sixteen bytes of ones, sixteen of zeros: read from the middle, a mask of the first n bytes. */
const masksAt: usize = memory.data<u8>(
  [
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0,
  ],
  16,
);

/** The `bytes` bytes at `at`, at most 16, and zeros. */
export function firstBytes(at: usize, bytes: usize): v128 {
  return v128.and(v128.load(at), v128.load(masksAt + 16 - bytes));
}

/** One bit for each of the next 16 bytes that ends a string: its quote, or what only `JSON.parse` may judge. */
function stopsAt(at: usize): i32 {
  const chunk = v128.load(at);
  const isQuote = i8x16.eq(chunk, i8x16.splat(quote));
  const isEscape = i8x16.eq(chunk, i8x16.splat(backslash));
  const isControl = i8x16.lt_u(chunk, i8x16.splat(32));
  return i8x16.bitmask(v128.or(isControl, v128.or(isQuote, isEscape)));
}

/**
 * Where the string whose content begins at `at` has its closing quote; 0 when an escape or a control character comes first. The
 * zero after the last byte of the body is one.
 */
export function textEnd(at: usize): usize {
  let stops = stopsAt(at);
  while (stops === 0) {
    at += 16;
    stops = stopsAt(at);
  }
  at += ctz(stops);
  return load<u8>(at) === quote ? at : 0;
}

/** Copies whole vectors; up to 15 bytes after the copy are overwritten. */
export function copyBytes(to: usize, from: usize, bytes: usize): void {
  for (let done: usize = 0; done < bytes; done += 16) v128.store(to + done, v128.load(from + done));
}

/** Writes a string as RowBinary has it: the length as LEB128, then the bytes. Gives where the next value goes. */
export function putText(to: usize, from: usize, bytes: usize): usize {
  let rest = bytes;
  while (rest > 127) {
    store<u8>(to++, <u8>(rest | 128));
    rest >>>= 7;
  }
  store<u8>(to++, <u8>rest);
  copyBytes(to, from, bytes);
  return to + bytes;
}

export function isSame(a: usize, b: usize, bytes: usize): bool {
  let done: usize = 0;
  for (; done + 16 <= bytes; done += 16) {
    if (v128.any_true(v128.xor(v128.load(a + done), v128.load(b + done)))) return false;
  }
  const rest = bytes - done;
  return !v128.any_true(v128.xor(firstBytes(a + done, rest), firstBytes(b + done, rest)));
}
