import { isDigit } from "./number";

const noTime: i64 = i64.MIN_VALUE;
/** No clock on earth is further from UTC. */
const offsetMaxMinutes: i32 = 14 * 60;

/** The two digits at `at`; 255 when they are not. */
function twoDigits(at: usize): i32 {
  const tens = load<u8>(at);
  const ones = load<u8>(at + 1);
  return isDigit(tens) && isDigit(ones) ? <i32>(tens - 48) * 10 + (ones - 48) : 255;
}

/** Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March, so that the leap day is their last. */
function daysOf(year: i32, month: i32, day: i32): i32 {
  const shifted = month > 2 ? year : year - 1;
  const era = shifted / 400;
  const ofEra = shifted - era * 400;
  const ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719468;
}

function daysInMonth(year: i32, month: i32): i32 {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/**
 * Epoch milliseconds of ISO 8601 between two addresses; `noTime` for what `parseTimestamp` refuses too. The bytes up to `end` are
 * followed by a quote, so nothing is read past it that could count.
 */
function parseIso(at: usize, end: usize): i64 {
  const century = twoDigits(at);
  const ofCentury = twoDigits(at + 2);
  const month = twoDigits(at + 5);
  const day = twoDigits(at + 8);
  if (century > 99 || ofCentury > 99 || load<u8>(at + 4) !== 45 || load<u8>(at + 7) !== 45) return noTime;
  const year = century * 100 + ofCentury;
  if (year < 100 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return noTime;
  const midnight = <i64>daysOf(year, month, day) * 86_400_000;
  at += 10;
  if (at === end) return midnight;
  const separator = load<u8>(at);
  if ((separator | 32) !== 116 && separator !== 32) return noTime;
  const hour = twoDigits(at + 1);
  const minute = twoDigits(at + 4);
  if (hour > 23 || minute > 59 || load<u8>(at + 3) !== 58) return noTime;
  at += 6;
  let milliseconds = (hour * 60 + minute) * 60_000;
  if (load<u8>(at) === 58) {
    const second = twoDigits(at + 1);
    if (second > 59) return noTime;
    milliseconds += second * 1000;
    at += 3;
    const mark = load<u8>(at);
    if (mark === 46 || mark === 44) {
      let digits = 0;
      let scale = 100;
      for (at++; isDigit(load<u8>(at)); at++) {
        milliseconds += (load<u8>(at) - 48) * scale;
        scale /= 10;
        digits++;
      }
      if (digits === 0 || digits > 9) return noTime;
    }
  }
  const offset = offsetMinutes(at, end);
  return offset === i32.MIN_VALUE ? noTime : midnight + milliseconds - <i64>offset * 60_000;
}

/** Of nothing, `Z`, `±HH`, `±HHMM` or `±HH:MM`, which have to reach up to `end`. */
function offsetMinutes(at: usize, end: usize): i32 {
  if (at === end) return 0;
  const sign = load<u8>(at++);
  if ((sign | 32) === 122) return at === end ? 0 : i32.MIN_VALUE;
  if (sign !== 43 && sign !== 45) return i32.MIN_VALUE;
  let minutes = twoDigits(at) * 60;
  at += 2;
  if (at !== end) {
    if (load<u8>(at) === 58) at++;
    const rest = twoDigits(at);
    if (rest > 59) return i32.MIN_VALUE;
    minutes += rest;
    at += 2;
  }
  if (at !== end || minutes > offsetMaxMinutes) return i32.MIN_VALUE;
  return sign === 45 ? -minutes : minutes;
}

/** NaN: not ISO 8601, or no such moment. */
export function isoTimeMs(at: usize, end: usize): f64 {
  // The shortest is a date; a longer text than the longest is refused below, where its digits end.
  if (end - at < 10) return NaN;
  const time = parseIso(at, end);
  return time === noTime ? NaN : <f64>time;
}
