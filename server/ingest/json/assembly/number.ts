import { parseNumber } from "./imports";

const minus: u8 = 45;
const plus: u8 = 43;
const dot: u8 = 46;
const zero: u8 = 48;
/** A double holds every integer of this many digits, and every power of ten up to the 22nd: their quotient is rounded once. */
const exactDigits: i32 = 15;
const powersOfTen: usize = memory.data<f64>([
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
]);

/** What `readNumber` has read. */
export let number: f64 = 0;

export function isDigit(byte: u8): bool {
  return <u8>(byte - zero) < 10;
}

/** Gives where the number ends; 0: it is none, or not finite. */
export function readNumber(start: usize): usize {
  let at = start;
  const isNegative = load<u8>(at) === minus;
  if (isNegative) at++;
  const first = at;
  let integer: u64 = 0;
  let byte = load<u8>(at);
  for (; isDigit(byte); byte = load<u8>(++at)) integer = integer * 10 + (byte - zero);
  let digits = <i32>(at - first);
  if (digits === 0 || (digits > 1 && load<u8>(first) === zero)) return 0;
  let fraction: i32 = 0;
  if (byte === dot) {
    const point = at;
    byte = load<u8>(++at);
    for (; isDigit(byte); byte = load<u8>(++at)) integer = integer * 10 + (byte - zero);
    fraction = <i32>(at - point) - 1;
    if (fraction === 0) return 0;
    digits += fraction;
  }
  if ((byte | 32) === 101) return readScientific(start, at);
  if (digits > exactDigits) return readExactly(start, at);
  const magnitude = fraction === 0 ? <f64>integer : <f64>integer / load<f64>(powersOfTen + ((<usize>fraction) << 3));
  number = isNegative ? -magnitude : magnitude;
  return at;
}

/** With an exponent, whose letter is at `at`. */
function readScientific(start: usize, at: usize): usize {
  at++;
  const sign = load<u8>(at);
  if (sign === plus || sign === minus) at++;
  if (!isDigit(load<u8>(at))) return 0;
  while (isDigit(load<u8>(at))) at++;
  return readExactly(start, at);
}

function readExactly(start: usize, end: usize): usize {
  number = parseNumber(start, end);
  return isFinite(number) ? end : 0;
}
