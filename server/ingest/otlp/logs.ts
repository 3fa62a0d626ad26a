import { Attributes, textOfValue } from "./attributes.ts";
import type { ExportLogsServiceRequest } from "./generated/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import type { LogRecord } from "./generated/opentelemetry/proto/logs/v1/logs_pb.js";
import { deviceOf, type Point, timeOf } from "./point.ts";

/** What a record without an event's name is. */
const plainLog = "log";
/** Four numbers each, from 1 on. */
const severities = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] as const;

/** The log records of a request, in its order. */
export function* logPoints(request: ExportLogsServiceRequest, deviceAttributes: readonly string[]): Generator<Point> {
  for (const { resource, scopeLogs } of request.resourceLogs) {
    const ofResource = new Attributes().addAll("resource", resource?.attributes ?? []);
    const device = deviceOf(ofResource, deviceAttributes);
    for (const { scope, logRecords } of scopeLogs) {
      const ofScope = new Attributes(ofResource)
        .addText("scope", "otel.scope.name", scope?.name ?? "")
        .addText("scope", "otel.scope.version", scope?.version ?? "")
        .addAll("scope", scope?.attributes ?? []);
      for (const record of logRecords) yield logPoint(device, ofScope, record);
    }
  }
}

function logPoint(device: string, ofScope: Attributes, record: LogRecord): Point {
  const attributes = new Attributes(ofScope)
    .addAll("record", record.attributes)
    .addText("record", "severity", record.severityText || severityOf(record.severityNumber))
    .addText("record", "severity_number", record.severityNumber === 0 ? "" : String(record.severityNumber))
    .addText("record", "trace_id", hexOf(record.traceId))
    .addText("record", "span_id", hexOf(record.spanId))
    .addText("record", "trace_flags", record.flags === 0 ? "" : String(record.flags));
  return {
    events: [
      {
        device_id: device,
        event_type: record.eventName || attributes.get("event.name") || plainLog,
        ...(record.body === undefined ? {} : { value_string: textOfValue(record.body) }),
        metadata: attributes.toMetadata(),
        ...timeOf(record.timeUnixNano, record.observedTimeUnixNano),
      },
    ],
    exemplars: 0,
  };
}

/** `INFO`, `INFO2`, … as the specification writes them. */
function severityOf(number: number): string {
  const name = number > 0 ? severities[(number - 1) >> 2] : undefined;
  const step = ((number - 1) & 3) + 1;
  return name === undefined ? "" : name + (step === 1 ? "" : step);
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
