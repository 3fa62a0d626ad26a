import { build, type Histogram } from "hdr-histogram-js";

/** Latency in whole microseconds, three significant digits, up to ten minutes. Source: HdrHistogram. */
export interface Latency {
  record(microseconds: number): void;
  /** Milliseconds at the named percentiles; all 0 when nothing was recorded. */
  summary(): LatencySummary;
  count(): number;
}

interface LatencySummary {
  p50_ms: number;
  p90_ms: number;
  p99_ms: number;
  p999_ms: number;
  max_ms: number;
}

const longestMicroseconds = 600_000_000;

export function createLatency(): Latency {
  const histogram: Histogram = build({
    bitBucketSize: 32,
    lowestDiscernibleValue: 1,
    highestTrackableValue: longestMicroseconds,
    numberOfSignificantValueDigits: 3,
  });
  const milliseconds = (percentile: number) => histogram.getValueAtPercentile(percentile) / 1000;
  return {
    record(microseconds) {
      histogram.recordValue(Math.min(longestMicroseconds, Math.max(0, Math.round(microseconds))));
    },
    summary: () => ({
      p50_ms: milliseconds(50),
      p90_ms: milliseconds(90),
      p99_ms: milliseconds(99),
      p999_ms: milliseconds(99.9),
      max_ms: histogram.maxValue / 1000,
    }),
    count: () => histogram.totalCount,
  };
}
