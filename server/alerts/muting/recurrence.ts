import { type Recurrence, weekdays } from "../../../contract/alerts.ts";
import { parseDuration } from "../evaluation/duration.ts";

const dayMs = 86_400_000;
const formatters = new Map<string, Intl.DateTimeFormat>();

/** False: not a zone that this machine knows. */
export function isTimeZone(name: string): boolean {
  try {
    formatterOf(name);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formatters.set(timeZone, formatter);
  }
  return formatter;
}

/** What the clocks of the zone show, as if it were UTC. */
function wallClockMs(atMs: number, timeZone: string): number {
  const parts = Object.fromEntries(
    formatterOf(timeZone)
      .formatToParts(atMs)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((atMs % 1000) + 1000) % 1000);
}

/** Whether `atMs` lies in one of the windows. They are reckoned by the clocks of the zone, so two in the morning stays two. */
export function isInRecurrence(recurrence: Recurrence, atMs: number): boolean {
  const zone = recurrence.time_zone ?? "UTC";
  const localMs = wallClockMs(atMs, zone);
  const [hours = 0, minutes = 0] = recurrence.start.split(":").map(Number);
  const startOfDayMs = (hours * 60 + minutes) * 60_000;
  const lengthMs = parseDuration(recurrence.duration) ?? 0;
  const today = Math.floor(localMs / dayMs);
  for (let day = today - Math.ceil(lengthMs / dayMs); day <= today; day++) {
    const fromMs = day * dayMs + startOfDayMs;
    // 1 January 1970 was a Thursday.
    const weekday = weekdays[(((day + 3) % 7) + 7) % 7];
    const isThatDay = recurrence.days === undefined || recurrence.days.some((each) => each === weekday);
    if (isThatDay && localMs >= fromMs && localMs < fromMs + lengthMs) return true;
  }
  return false;
}
