import type { ClickHouseState } from "../../../contract/stream.ts";
import { formatDuration } from "../ui/format.ts";
import type { SseState } from "./sse.ts";

export interface ConnectionView {
  kind: "connecting" | "live" | "quiet" | "starting" | "degraded" | "reconnecting" | "offline" | "signed_out";
  /** A word or two for the badge. */
  label: string;
  /** A sentence; empty when there is nothing to say. */
  detail: string;
}

interface ConnectionFacts {
  state: SseState;
  /** What the browser says of the network. */
  online: boolean;
  nowMs: number;
  /** When the data on the page was current, epoch ms; undefined before the first. */
  dataAtMs: number | undefined;
  /** As of the last update. */
  clickhouse?: ClickHouseState | undefined;
  /** The service has just started, and ClickHouse with it. */
  starting?: boolean;
}

/** Quiet for this long is worth a word: below it, a pause between two updates looks like a fault. */
const quietAfterMs = 10_000;

export function describeConnection({ state, online, nowMs, dataAtMs, ...storage }: ConnectionFacts): ConnectionView {
  const ageMs = dataAtMs === undefined ? undefined : Math.max(0, nowMs - dataAtMs);
  // Whole seconds: a tenth that runs is noise in a warning.
  const age = ageMs === undefined ? undefined : formatDuration(Math.floor(ageMs / 1000));
  if (state.kind === "unauthenticated") return { kind: "signed_out", label: "Signed out", detail: "" };
  if (state.kind === "open") {
    if (storage.starting) return { kind: "starting", label: "Starting", detail: "ClickHouse is starting." };
    if (storage.clickhouse === "unavailable" || storage.clickhouse === "denied") {
      return { kind: "degraded", label: "Live, not stored", detail: "Events wait in the journal for ClickHouse." };
    }
    if (ageMs !== undefined && ageMs > quietAfterMs) {
      return { kind: "quiet", label: "Live, quiet", detail: `Connected. Nothing has changed for ${age}.` };
    }
    return { kind: "live", label: "Live", detail: "" };
  }
  if (!online) {
    const data = age === undefined ? "No data has been kept on this device." : `What you see is ${age} old.`;
    return { kind: "offline", label: "Offline", detail: `This device is offline. ${data}` };
  }
  if (age === undefined) {
    if (state.kind === "connecting") return { kind: "connecting", label: "Connecting", detail: "" };
    return {
      kind: "reconnecting",
      label: "No connection",
      detail: `The service does not answer. Next try ${retryIn(state, nowMs)}.`,
    };
  }
  return { kind: "reconnecting", label: "Reconnecting", detail: `Reconnecting, data is ${age} old.` };
}

function retryIn(state: SseState, nowMs: number): string {
  const seconds = state.kind === "waiting" ? Math.ceil((state.retryAtMs - nowMs) / 1000) : 0;
  return seconds <= 0 ? "now" : `in ${seconds} s`;
}
