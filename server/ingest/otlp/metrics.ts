import type { Event } from "../../../contract/event.ts";
import { Attributes } from "./attributes.ts";
import { type Bucket, explicitBuckets, exponentialBuckets } from "./buckets.ts";
import type { ExportMetricsServiceRequest } from "./generated/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import type {
  ExponentialHistogramDataPoint,
  HistogramDataPoint,
  Metric,
  NumberDataPoint,
  SummaryDataPoint,
} from "./generated/opentelemetry/proto/metrics/v1/metrics_pb.js";
import { deviceOf, type Point, timeOf, valueFields } from "./point.ts";

/** The bit of a point's flags that says that it has no value. */
const noRecordedValue = 1;
/** By the enumeration's number; the first is "unspecified". */
const temporalities = ["", "delta", "cumulative"] as const;

interface Context {
  readonly device: string;
  readonly metric: Metric;
  /** Of resource, scope and metric. */
  readonly attributes: Attributes;
}

type DataPoint = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint;

/** The data points of a request, in its order. */
export function* metricPoints(
  request: ExportMetricsServiceRequest,
  deviceAttributes: readonly string[],
): Generator<Point> {
  for (const { resource, scopeMetrics } of request.resourceMetrics) {
    const ofResource = new Attributes().addAll("resource", resource?.attributes ?? []);
    const device = deviceOf(ofResource, deviceAttributes);
    for (const { scope, metrics } of scopeMetrics) {
      const ofScope = new Attributes(ofResource)
        .addText("scope", "otel.scope.name", scope?.name ?? "")
        .addText("scope", "otel.scope.version", scope?.version ?? "")
        .addAll("scope", scope?.attributes ?? []);
      for (const metric of metrics) yield* pointsOf({ device, metric, attributes: ofScope });
    }
  }
}

function* pointsOf(context: Context): Generator<Point> {
  const { data } = context.metric;
  switch (data.case) {
    case "gauge":
      for (const point of data.value.dataPoints) yield numberPoint(context, point);
      return;
    case "sum": {
      const sum = withTemporality(context, data.value.aggregationTemporality);
      if (data.value.isMonotonic) sum.attributes.set("scope", "otlp.monotonic", "true");
      for (const point of data.value.dataPoints) yield numberPoint(sum, point);
      return;
    }
    case "histogram": {
      const histogram = withTemporality(context, data.value.aggregationTemporality);
      for (const point of data.value.dataPoints) yield histogramPoint(histogram, point, explicitBuckets(point));
      return;
    }
    case "exponentialHistogram": {
      const histogram = withTemporality(context, data.value.aggregationTemporality);
      for (const point of data.value.dataPoints) {
        const scaled = withAttribute(histogram, "otlp.scale", String(point.scale));
        yield histogramPoint(scaled, point, exponentialBuckets(point));
      }
      return;
    }
    case "summary":
      for (const point of data.value.dataPoints) yield summaryPoint(context, point);
  }
}

function withAttribute(context: Context, key: string, text: string): Context {
  return { ...context, attributes: new Attributes(context.attributes).addText("scope", key, text) };
}

function withTemporality(context: Context, temporality: number): Context {
  return withAttribute(context, "otlp.temporality", temporalities[temporality] ?? "");
}

function numberPoint(context: Context, point: NumberDataPoint): Point {
  const create = eventsOf(context, point);
  // Without a value, which the flags say, too, there is an event of none.
  const hasValue = (point.flags & noRecordedValue) === 0 && point.value.case !== undefined;
  return { events: [create("", hasValue ? (point.value.value ?? null) : null)], exemplars: point.exemplars.length };
}

function histogramPoint(
  context: Context,
  point: HistogramDataPoint | ExponentialHistogramDataPoint,
  buckets: readonly Bucket[],
): Point {
  const create = eventsOf(context, point);
  const exemplars = point.exemplars.length;
  if ((point.flags & noRecordedValue) !== 0) return { events: [create("_count", null)], exemplars };
  const events = [create("_count", point.count)];
  if (point.sum !== undefined) events.push(create("_sum", point.sum));
  if (point.min !== undefined) events.push(create("_min", point.min));
  if (point.max !== undefined) events.push(create("_max", point.max));
  for (const { le, count } of buckets) events.push(create("_bucket", count, "le", le));
  return { events, exemplars };
}

function summaryPoint(context: Context, point: SummaryDataPoint): Point {
  const create = eventsOf(context, point);
  if ((point.flags & noRecordedValue) !== 0) return { events: [create("_count", null)], exemplars: 0 };
  const events = [create("_count", point.count), create("_sum", point.sum)];
  for (const { quantile, value } of point.quantileValues) events.push(create("", value, "quantile", String(quantile)));
  return { events, exemplars: 0 };
}

type CreateEvent = (suffix: string, value: number | bigint | null, key?: string, text?: string) => Event;

/** Makes the events of one point; the metric's unit and the point's own attributes are in each. */
function eventsOf({ device, metric, attributes }: Context, point: DataPoint): CreateEvent {
  const own = new Attributes(attributes)
    .addAll("point", point.attributes)
    .addText("point", "unit", metric.unit)
    .addText(
      "point",
      "otlp.start_time_unix_nano",
      point.startTimeUnixNano === 0n ? "" : String(point.startTimeUnixNano),
    );
  const shared = own.toMetadata();
  const time = timeOf(point.timeUnixNano);
  return (suffix, value, key, text = "") => ({
    device_id: device,
    event_type: metric.name === "" ? "" : metric.name + suffix,
    ...(value === null ? {} : valueFields(value)),
    metadata: key === undefined ? shared : new Attributes(own).set("point", key, text).toMetadata(),
    ...time,
  });
}
