import { formatAgo, formatTime } from "../ui/format.ts";
import { useApp } from "./context.tsx";

export interface ClockWords {
  /** "14 s ago", by the server's clock; follows the time. */
  ago(iso: string): string;
  /** The time of day; the date too when it was not within the last day. */
  time(iso: string): string;
  full(iso: string): string;
}

/** Times of the service in words, in the viewer's zone. Under a Solid owner. */
export function createClockWords(): ClockWords {
  const { live, preferences } = useApp();
  const now = (): number => live.nowMs() + live.clockOffsetMs();
  return {
    ago: (iso) => formatAgo((now() - Date.parse(iso)) / 1000),
    time(iso) {
      const timeMs = Date.parse(iso);
      return formatTime(timeMs, preferences.zone(), Date.now() - timeMs < 72_000_000 ? "clock" : "minute_of_day");
    },
    full: (iso) => formatTime(Date.parse(iso), preferences.zone(), "full"),
  };
}
