import Type from "typebox";
import type { ApiDocument, Content, Operation } from "../../reference/document.ts";
import { contentEncoding, idempotencyKey, json, refused, tags } from "../reference.ts";

/** OpenAPI of the routes of OTLP. */

const statusSchema = Type.Object(
  { code: Type.Integer(), message: Type.String(), error: Type.Object({ code: Type.String(), message: Type.String() }) },
  { description: "google.rpc.Status, and this service's error" },
);
function otlp(summary: string, message: string): { post: Operation } {
  const content: Content = {
    "application/x-protobuf": { schema: { type: "string", format: "binary", description: message } },
    "application/json": { schema: { type: "object", description: `${message} in OTLP's JSON` } },
  };
  return {
    post: {
      summary,
      description: "OTLP over HTTP. The answer has the request's encoding; refused points are in `partial_success`.",
      tags,
      security: [{ ingestKey: [] }, { ingestKeyHeader: [] }],
      parameters: [contentEncoding, idempotencyKey],
      requestBody: { required: true, content },
      responses: {
        "200": { description: "every point that `partial_success` does not refuse is durable", content },
        ...refused(
          json(statusSchema),
          "malformed_request",
          "malformed_encoding",
          "invalid_parameter",
          "unsupported_media_type",
        ),
      },
    },
  };
}

export const otlpPaths: ApiDocument["paths"] = {
  "/v1/metrics": otlp("Write metrics of OpenTelemetry", "ExportMetricsServiceRequest"),
  "/v1/logs": otlp("Write logs of OpenTelemetry", "ExportLogsServiceRequest"),
};
