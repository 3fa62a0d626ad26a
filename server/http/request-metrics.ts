/** Upper bounds of the buckets, in seconds; from a fast acknowledgement to `?wait=stored`. */
export const durationBucketsSeconds = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
const bucketCount = durationBucketsSeconds.length + 1;
const statusClasses = ["1xx", "2xx", "3xx", "4xx", "5xx"] as const;

/** Every route that has figures of its own; paths of devices and files are folded, so that the list stays as long as it is. */
export const routeNames = [
  "/ingest",
  "/write",
  "/api/v2/write",
  "/api/v3/write_lp",
  "/query",
  "/v1/metrics",
  "/v1/logs",
  "/dashboard-stream",
  "/api/history",
  "/api/event-types",
  "/api/live",
  "/api/devices",
  "/api/devices/ID",
  "/api/events",
  "/api/pipeline",
  "/api/session",
  "/healthz",
  "/readyz",
  "/metrics",
  "/openapi",
  "page",
] as const;
export type RouteName = (typeof routeNames)[number];

const exact: ReadonlyMap<string, RouteName> = new Map(routeNames.map((name) => [name, name]));

export function routeNameOf(path: string): RouteName {
  if (path.startsWith("/api/devices/")) return "/api/devices/ID";
  if (path === "/openapi/json") return "/openapi";
  return exact.get(path) ?? "page";
}

export interface Series {
  readonly route: RouteName;
  readonly status: (typeof statusClasses)[number];
  /** Not cumulative; the last one is of what is over every bound. */
  readonly buckets: readonly number[];
  readonly sumSeconds: number;
}

/** Durations of requests by route and class of status, in plain numbers: some 50 ns a request. */
export class RequestFigures {
  readonly #counts = new Float64Array(routeNames.length * statusClasses.length * bucketCount);
  readonly #sumsMs = new Float64Array(routeNames.length * statusClasses.length);

  record(route: RouteName, status: number, durationMs: number): void {
    const series =
      routeNames.indexOf(route) * statusClasses.length + Math.min(5, Math.max(1, Math.floor(status / 100))) - 1;
    const seconds = durationMs / 1000;
    let bucket = 0;
    while (bucket < bucketCount - 1 && seconds > (durationBucketsSeconds[bucket] as number)) bucket++;
    const at = series * bucketCount + bucket;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sumsMs[series] = (this.#sumsMs[series] as number) + durationMs;
  }

  /** What has been asked for at least once. */
  series(): Series[] {
    return routeNames.flatMap((route, routeIndex) =>
      statusClasses.flatMap((status, statusIndex) => {
        const index = routeIndex * statusClasses.length + statusIndex;
        const buckets = [...this.#counts.subarray(index * bucketCount, (index + 1) * bucketCount)];
        const sumSeconds = (this.#sumsMs[index] as number) / 1000;
        return buckets.some((count) => count > 0) ? [{ route, status, buckets, sumSeconds }] : [];
      }),
    );
  }
}
