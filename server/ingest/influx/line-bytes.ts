export const space = 32;
export const tab = 9;
export const newline = 10;
export const carriageReturn = 13;
export const quote = 34;
export const hash = 35;
export const comma = 44;
export const minus = 45;
export const dot = 46;
export const zero = 48;
export const equals = 61;
export const backslash = 92;
export const underscore = 95;

export const fnvOffset = 0x811c9dc5;
export const fnvPrime = 0x01000193;

/** What ends a run of plain bytes in a measurement, tag key, tag value or field key. */
export const isSpecial = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(byte === comma || byte === space || byte === equals || byte === backslash || byte === newline),
);
const among = (...bytes: number[]) => Uint8Array.from({ length: 256 }, (_, byte) => Number(bytes.includes(byte)));
/** What a backslash makes plain: in tags, and in names of measurements and fields. */
export const isTagEscape = among(comma, space, equals);
export const isNameEscape = among(comma, space, equals, quote);
/** The first special byte from `start` on; a line end is one, so there always is. */
export function plainEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isSpecial[bytes[at] as number] === 0) at++;
  return at;
}

export function isBlank(byte: number | undefined): boolean {
  return byte === space || byte === tab;
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= 57;
}

/** The first digit that is not a leading zero. */
export function firstDigit(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end - 1 && bytes[at] === zero) at++;
  return at;
}

/** Code points of UTF-8. */
export function characters(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) if (((bytes[at] as number) & 0xc0) !== 0x80) count++;
  return count;
}

export function startsAt(bytes: Uint8Array, start: number, text: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[start + index] !== text[index]) return false;
  return true;
}

export function isSame(bytes: Uint8Array, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false;
  for (let index = end - start - 1; index >= 0; index--) {
    if (bytes[start + index] !== bytes[otherStart + index]) return false;
  }
  return true;
}

/** Text of bytes that are ASCII. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let value = fnvOffset;
  for (let at = start; at < end; at++) value = Math.imul(value ^ (bytes[at] as number), fnvPrime);
  return value;
}
