import { limits } from "../../../contract/limits.ts";
import { backslash, dot, firstDigit, isDigit, latin1, minus, quote, zero } from "./line-bytes.ts";
import type { LineCursor } from "./line-cursor.ts";
import type { Fields } from "./line-fields.ts";

const integerSuffix = 105;
const unsignedSuffix = 117;
const timeSuffix = 116;

const isNumberByte = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number((byte >= zero && byte <= 57) || [dot, minus, 43, 69, 101].includes(byte)),
);
const exactDigits = 15;
const powersOfTen = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);
const decimal = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;

const booleans: Readonly<Record<string, number>> = {
  t: 1,
  T: 1,
  true: 1,
  True: 1,
  TRUE: 1,
  f: 0,
  F: 0,
  false: 0,
  False: 0,
  FALSE: 0,
};

/** Digits from `start` to `end`, without a sign; `rounded` is what they come to. */
interface IntegerPlace {
  readonly start: number;
  readonly end: number;
  readonly suffix: number;
  readonly negative: boolean;
  readonly rounded: number;
}

/** A quoted string, unescaped where it stands; line ends are characters like any other in it. */
export function readText(cursor: LineCursor, fields: Fields, index: number): boolean {
  const { bytes, end: bodyEnd } = cursor;
  const start = cursor.at + 1;
  let at = start;
  while (at < bodyEnd && bytes[at] !== quote && bytes[at] !== backslash) at++;
  let to = at;
  for (; at < bodyEnd; at++) {
    let byte = bytes[at] as number;
    if (byte === quote) break;
    if (byte === backslash && at + 1 < bodyEnd) {
      const escaped = bytes[at + 1] as number;
      if (escaped === quote || escaped === backslash) {
        byte = escaped;
        at++;
      }
    }
    bytes[to++] = byte;
  }
  cursor.at = Math.min(at + 1, bodyEnd);
  if (at >= bodyEnd) return cursor.bad("a string has no closing quote");
  if (!cursor.atFieldEnd()) return cursor.bad("a string's closing quote is followed by something else");
  if (to - start > limits.valueStringBytes) return cursor.bad(`a string is over ${limits.valueStringBytes} bytes`);
  fields.textStart[index] = start;
  fields.textEnd[index] = to;
  return true;
}

/** A number or a truth value. */
export function readPlainValue(cursor: LineCursor, fields: Fields, index: number): boolean {
  if (cursor.atFieldEnd()) return cursor.bad("a field has no value");
  const first = cursor.byte();
  const isNumber = isDigit(first) || first === minus || first === dot;
  return isNumber ? readNumber(cursor, fields, index) : readBoolean(cursor, fields, index);
}

function readBoolean(cursor: LineCursor, fields: Fields, index: number): boolean {
  const start = cursor.at;
  while (!cursor.atFieldEnd() && cursor.at - start < 6) cursor.at++;
  const word = latin1(cursor.bytes, start, cursor.at);
  if (!cursor.atFieldEnd() || !Object.hasOwn(booleans, word)) {
    return cursor.bad("a field's value is neither a number nor true, false or a quoted string");
  }
  fields.value[index] = booleans[word] as number;
  return true;
}

function readNumber(cursor: LineCursor, fields: Fields, index: number): boolean {
  const { bytes } = cursor;
  const start = cursor.at;
  let at = start;
  const negative = bytes[at] === minus;
  if (negative) at++;
  let digits = 0;
  let integer = 0;
  for (; isDigit(bytes[at]); at++) {
    integer = integer * 10 + ((bytes[at] as number) - zero);
    digits++;
  }
  const suffix = bytes[at];
  if ((suffix === integerSuffix || suffix === unsignedSuffix || suffix === timeSuffix) && digits > 0) {
    return readInteger(cursor, fields, index, { start, end: at, suffix, negative, rounded: integer });
  }
  let fraction = 0;
  if (suffix === dot) {
    at++;
    for (; isDigit(bytes[at]); at++) {
      integer = integer * 10 + ((bytes[at] as number) - zero);
      fraction++;
    }
  }
  cursor.at = at;
  if (digits + fraction > 0 && digits + fraction <= exactDigits && cursor.atFieldEnd()) {
    const value = fraction === 0 ? integer : integer / (powersOfTen[fraction] as number);
    fields.value[index] = negative ? -value : value;
    return true;
  }
  while (isNumberByte[bytes[at] as number] !== 0) at++;
  cursor.at = at;
  const text = latin1(bytes, start, at);
  if (!cursor.atFieldEnd() || !decimal.test(text)) return cursor.bad("a field's value is not a number");
  const value = Number(text);
  if (!Number.isFinite(value)) return cursor.bad("a number is too large");
  fields.value[index] = value;
  return true;
}

/** Digits and `i`, `u`, or `t` for QuestDB's times in microseconds. What a double does not hold is kept as text, too. */
function readInteger(
  cursor: LineCursor,
  fields: Fields,
  index: number,
  { start, end, suffix, negative, rounded }: IntegerPlace,
): boolean {
  const { bytes } = cursor;
  cursor.at = end + 1;
  if (!cursor.atFieldEnd()) return cursor.bad("a field's value is not a number");
  if (suffix === unsignedSuffix && negative) return cursor.bad("an unsigned number is negative");
  // InfluxDB has no negative zero among its integers.
  fields.value[index] = negative && rounded > 0 ? -rounded : rounded;
  if (rounded <= Number.MAX_SAFE_INTEGER) return true;
  const first = firstDigit(bytes, negative ? start + 1 : start, end);
  if (end - first > 20) return cursor.bad("an integer is out of range");
  const magnitude = BigInt(latin1(bytes, first, end));
  const max = suffix === unsignedSuffix ? uint64Max : negative ? int64Max + 1n : int64Max;
  if (magnitude > max) return cursor.bad("an integer is out of range");
  fields.value[index] = Number(negative ? -magnitude : magnitude);
  // Leading zeros are no part of the digits; the sign takes the place of the last of them, or its own.
  if (negative) bytes[first - 1] = minus;
  fields.textStart[index] = negative ? first - 1 : first;
  fields.textEnd[index] = end;
  return true;
}
