import {
  create,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  ExportLogsPartialSuccessSchema,
  ExportLogsServiceRequestSchema,
  ExportLogsServiceResponseSchema,
} from "./generated/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import {
  ExportMetricsPartialSuccessSchema,
  ExportMetricsServiceRequestSchema,
  ExportMetricsServiceResponseSchema,
} from "./generated/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { logPoints } from "./logs.ts";
import { metricPoints } from "./metrics.ts";
import type { Point } from "./point.ts";

/** The two ways in which OTLP/HTTP writes its messages; an answer is written as its request was. */
export type Encoding = "protobuf" | "json";

/** One of OTLP's kinds of telemetry: how its request is read and its answer is written. */
export interface Signal {
  /** Throws what the library throws when the bytes are not the message. */
  read(body: Uint8Array, encoding: Encoding, deviceAttributes: readonly string[]): Point[];
  /** An answer of success; `rejected` 0 is a full one. */
  answer(encoding: Encoding, rejected: number, message: string): Uint8Array | string;
}

export const metricsSignal: Signal = {
  read(body, encoding, deviceAttributes) {
    return [...metricPoints(decode(ExportMetricsServiceRequestSchema, body, encoding), deviceAttributes)];
  },
  answer(encoding, rejected, errorMessage) {
    const partialSuccess = create(ExportMetricsPartialSuccessSchema, {
      rejectedDataPoints: BigInt(rejected),
      errorMessage,
    });
    return encode(
      ExportMetricsServiceResponseSchema,
      create(ExportMetricsServiceResponseSchema, rejected === 0 ? {} : { partialSuccess }),
      encoding,
    );
  },
};

export const logsSignal: Signal = {
  read(body, encoding, deviceAttributes) {
    return [...logPoints(decode(ExportLogsServiceRequestSchema, body, encoding, hexIds), deviceAttributes)];
  },
  answer(encoding, rejected, errorMessage) {
    const partialSuccess = create(ExportLogsPartialSuccessSchema, {
      rejectedLogRecords: BigInt(rejected),
      errorMessage,
    });
    return encode(
      ExportLogsServiceResponseSchema,
      create(ExportLogsServiceResponseSchema, rejected === 0 ? {} : { partialSuccess }),
      encoding,
    );
  },
};

/** `google.rpc.Status`, in which OTLP reports what is no success. */
export function statusMessage(encoding: Encoding, code: number, message: string, extra: object): Uint8Array | string {
  if (encoding === "json") return JSON.stringify({ code, message, ...extra });
  return new BinaryWriter()
    .tag(1, WireType.Varint)
    .int32(code)
    .tag(2, WireType.LengthDelimited)
    .string(message)
    .finish();
}

const decoder = new TextDecoder();

function decode<S extends DescMessage>(
  schema: S,
  body: Uint8Array,
  encoding: Encoding,
  prepare: (json: unknown) => void = () => undefined,
): MessageShape<S> {
  if (encoding === "protobuf") return fromBinary(schema, body, { readUnknownFields: false });
  const json: unknown = JSON.parse(decoder.decode(body));
  prepare(json);
  return fromJson(schema, json as JsonValue, { ignoreUnknownFields: true });
}

function encode<S extends DescMessage>(schema: S, message: MessageShape<S>, encoding: Encoding): Uint8Array | string {
  return encoding === "protobuf" ? toBinary(schema, message) : JSON.stringify(toJson(schema, message));
}

/** OTLP's JSON has the ids of traces in hexadecimal, where Protobuf's own has bytes in base64. */
function hexIds(json: unknown): void {
  for (const resource of listOf(json, "resourceLogs", "resource_logs")) {
    for (const scope of listOf(resource, "scopeLogs", "scope_logs")) {
      for (const record of listOf(scope, "logRecords", "log_records")) {
        for (const name of ["traceId", "spanId", "trace_id", "span_id"]) {
          const hex = isObject(record) ? record[name] : undefined;
          if (isObject(record) && typeof hex === "string") record[name] = Buffer.from(hex, "hex").toString("base64");
        }
      }
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function listOf(value: unknown, name: string, otherName: string): readonly unknown[] {
  const list = isObject(value) ? (value[name] ?? value[otherName]) : undefined;
  return Array.isArray(list) ? list : [];
}
