import type {
  ExponentialHistogramDataPoint,
  HistogramDataPoint,
} from "./generated/opentelemetry/proto/metrics/v1/metrics_pb.js";

/** How many values were at most `le`, as Prometheus counts them; the last is all of them, at most `+Inf`. */
export interface Bucket {
  readonly le: string;
  readonly count: bigint;
}

export function explicitBuckets({ bucketCounts, explicitBounds }: HistogramDataPoint): Bucket[] {
  const buckets: Bucket[] = [];
  let count = 0n;
  for (const [index, own] of bucketCounts.entries()) {
    const bound = explicitBounds[index];
    count += own;
    buckets.push({ le: bound === undefined ? "+Inf" : String(bound), count });
  }
  return buckets;
}

type Side = { readonly offset: number; readonly bucketCounts: readonly bigint[] } | undefined;

/**
 * From the lowest values up: negative ones, zero, positive ones. Empty buckets are left out; with the scale, which the events
 * carry, they can be told. Source: the data model's exponential histograms, whose bucket `i` holds base^i < x ≤ base^(i+1).
 */
export function exponentialBuckets(point: ExponentialHistogramDataPoint): Bucket[] {
  const { scale, positive, negative, zeroCount, zeroThreshold, count: total } = point;
  const power = (index: number): number => 2 ** (index * 2 ** -scale);
  const buckets: Bucket[] = [];
  let count = 0n;
  const add = (own: bigint, bound: number): void => {
    if (own === 0n) return;
    count += own;
    buckets.push({ le: String(bound), count });
  };
  for (const [index, own] of filled(negative).reverse()) add(own, -power(index));
  add(zeroCount, zeroThreshold);
  for (const [index, own] of filled(positive)) add(own, power(index + 1));
  buckets.push({ le: "+Inf", count: total });
  return buckets;
}

function filled(side: Side): [index: number, count: bigint][] {
  if (side === undefined) return [];
  return side.bucketCounts
    .map((count, place): [number, bigint] => [side.offset + place, count])
    .filter(([, count]) => count !== 0n);
}
