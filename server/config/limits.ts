import { duration, integer, size } from "./kinds.ts";
import { group, type Values } from "./setting.ts";

export const limits = group("Limits of ingestion", {
  maxBodyBytes: {
    variable: "MAX_BODY_BYTES",
    fallback: "16MiB",
    kind: size("1KiB", "512MiB"),
    help: "request body, decompressed; over: 413",
  },
  inFlightMaxBytes: {
    variable: "MAX_INFLIGHT_BYTES",
    fallback: "256MiB",
    kind: size("1MiB", "1024TiB"),
    help: "request bodies on their way, all together; over: 503",
  },
  maxEvents: {
    variable: "MAX_EVENTS_PER_REQUEST",
    fallback: "10000",
    kind: integer(1, 1_000_000),
    help: "events in one request; over: 413",
  },
  bodyTimeoutMs: {
    variable: "BODY_TIMEOUT",
    fallback: "30",
    kind: duration("100ms", "10m"),
    help: "a request body has to arrive within this; over: 408",
  },
  maxClockSkewFutureMs: {
    variable: "MAX_CLOCK_SKEW_FUTURE",
    fallback: "5m",
    kind: duration("0s", "5m"),
    help: "how far ahead a device's clock may be",
  },
  maxEventAgeMs: {
    variable: "MAX_EVENT_AGE",
    fallback: "30d",
    kind: duration("1s", "366d"),
    help: "how old an event may be",
  },
  idempotencyMaxKeys: {
    variable: "IDEMPOTENCY_MAX_KEYS",
    fallback: "1000000",
    kind: integer(1, 50_000_000),
    help: "idempotency keys remembered for an hour; full: 503",
  },
  ringBytes: {
    variable: "RING_BYTES",
    fallback: "64MiB",
    kind: size("64KiB", "1GiB", "a power of two: "),
    help: "shared memory between the HTTP thread and the writer; full: 503",
  },
});

export type LimitSettings = Values<typeof limits>;

/** Upper bound, in bytes, of one request's rows: text is never longer in a row than in JSON, and 48 bytes a row are fixed. */
export function maxFrameBytes(settings: Pick<LimitSettings, "maxBodyBytes" | "maxEvents">): number {
  return settings.maxBodyBytes + 48 * settings.maxEvents + 4096;
}
