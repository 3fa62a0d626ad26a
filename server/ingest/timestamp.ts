const daysInMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const isoPattern =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d\d(?::?\d\d)?)?)?$/;

/** No clock on earth is further from UTC. */
const offsetMaxMinutes = 14 * 60;

/**
 * Epoch milliseconds of an ISO 8601 date or date and time; without an offset it is UTC. Undefined when it is neither, or
 * no such moment exists (`Date.parse` would move 30 February to March, and read a missing offset as local time).
 */
export function parseTimestamp(text: string): number | undefined {
  const match = isoPattern.exec(text);
  if (!match) return undefined;
  const [, yearText, monthText, dayText, hourText, minuteText, secondText, fraction, offset] = match;
  const year = Number(yearText);
  const month = Number(monthText);
  const day = Number(dayText);
  const hour = Number(hourText ?? 0);
  const minute = Number(minuteText ?? 0);
  const second = Number(secondText ?? 0);
  const leapDay = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 1 : 0;
  const days = daysInMonth[month - 1];
  // Below it `Date.UTC` means another century.
  if (year < 100) return undefined;
  if (days === undefined || day < 1 || day > days + leapDay) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const offsetMs = parseOffsetMs(offset);
  if (offsetMs === undefined) return undefined;
  const milliseconds = fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, "0"));
  return Date.UTC(year, month - 1, day, hour, minute, second, milliseconds) - offsetMs;
}

function parseOffsetMs(offset: string | undefined): number | undefined {
  if (offset === undefined || offset === "Z" || offset === "z") return 0;
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(3).replace(":", "") || 0);
  if (minutes > 59 || hours * 60 + minutes > offsetMaxMinutes) return undefined;
  return (offset.startsWith("-") ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}
