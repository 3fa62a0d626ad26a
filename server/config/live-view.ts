import { duration, integer } from "./kinds.ts";
import { group } from "./setting.ts";

export const liveView = group("Live view", {
  aggregationIntervalMs: {
    variable: "AGGREGATION_INTERVAL",
    fallback: "2",
    kind: duration("50ms", "1h"),
    help: "time between rollup queries",
  },
  streamIntervalMs: {
    variable: "STREAM_INTERVAL",
    fallback: "0.1",
    kind: duration("10ms", "1m"),
    help: "time between updates on the live stream",
  },
  eventTypesMax: {
    variable: "MAX_EVENT_TYPES",
    fallback: "1000",
    kind: integer(1, 10_000),
    help: "event types in the live view; further ones count as (other)",
  },
  streamsMax: {
    variable: "MAX_STREAMS",
    fallback: "20000",
    kind: integer(1, 1_000_000),
    help: "open live streams; over: 503",
  },
  streamsPerViewerMax: {
    variable: "MAX_STREAMS_PER_VIEWER",
    fallback: "20000",
    kind: integer(1, 1_000_000),
    help: "open live streams of one viewer; over: 503",
  },
});
