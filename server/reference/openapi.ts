import type { TSchema } from "typebox";
import { ErrorAnswer } from "../../contract/error.ts";
import { Event, StoredEvent } from "../../contract/event.ts";
import { DeviceGroups } from "../../contract/fleet.ts";
import { IngestAnswer } from "../../contract/ingest.ts";
import { limits } from "../../contract/limits.ts";
import { DeviceDetail, Devices, Events, EventTypes, History, PipelineDetail } from "../../contract/read.ts";
import { Session, SignIn } from "../../contract/session.ts";
import { DeviceUpdate, Update } from "../../contract/stream.ts";
import { alertPaths } from "../alerts/reference.ts";
import { fleetPaths } from "../fleet/reference.ts";
import { protocols } from "../ingest/protocols.ts";
import { deviceParameters, devicesParameters } from "../query/devices.ts";
import { eventParameters } from "../query/events.ts";
import { eventTypesParameters, historyParameters } from "../query/history.ts";
import { describeParameters } from "../query/parameters.ts";
import { sqlPaths } from "../query/sql/reference.ts";
import { storagePaths } from "../storage/reference.ts";
import { viewPaths } from "../views/reference.ts";
import {
  type Answer,
  type ApiDocument,
  type Content,
  type Operation,
  openapiVersion,
  type Parameter,
} from "./document.ts";
import { errorAnswers, readingErrors } from "./error-answers.ts";

const components = {
  Event,
  StoredEvent,
  IngestAnswer,
  ErrorAnswer,
  History,
  EventTypes,
  Devices,
  DeviceDetail,
  DeviceGroups,
  Events,
  PipelineDetail,
  Update,
  DeviceUpdate,
  Session,
  SignIn,
} satisfies Record<string, TSchema>;

const ref = (name: keyof typeof components): object => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: object): Content => ({ "application/json": { schema } });
const text = (maxLength: number): object => ({ type: "string", maxLength });
const whole = (minimum: number, maximum: number, fallback?: number): object => ({
  type: "integer",
  minimum,
  maximum,
  ...(fallback === undefined ? {} : { default: fallback }),
});
const query = (name: string, description: string, schema: object): Parameter => ({
  name,
  in: "query",
  required: false,
  description,
  schema,
});
const header = (name: string, description: string, schema: object): Parameter => ({
  name,
  in: "header",
  required: false,
  description,
  schema,
});
const answer = (name: keyof typeof components, description: string): Record<string, Answer> => ({
  "200": { description, content: json(ref(name)) },
});
const open: Operation["security"] = [];

const paths: ApiDocument["paths"] = {
  "/ingest": {
    post: {
      summary: "Post events",
      description:
        'One event, an array of events, or {"events": […]}; as NDJSON an event a line. A request is accepted or refused as a whole, unless `on_error=skip`.',
      tags: ["Write"],
      security: [{ ingestKey: [] }, { ingestKeyHeader: [] }],
      parameters: [
        query("wait", "`stored`: answer 200 once ClickHouse has the events; 202 after 30 s", { enum: ["stored"] }),
        query("on_error", "`skip`: take the valid events, name the others", { enum: ["skip"] }),
        header("Idempotency-Key", "the same key within an hour is answered the same and stored once", {
          ...text(limits.idempotencyKeyCharacters),
          minLength: 1,
        }),
        header("Content-Encoding", "of the body", { enum: ["gzip", "zstd", "identity"] }),
      ],
      requestBody: {
        required: true,
        content: {
          "application/json": {
            schema: {
              oneOf: [
                {
                  type: "object",
                  properties: { events: { type: "array", items: ref("Event") } },
                  required: ["events"],
                },
                ref("Event"),
                { type: "array", items: ref("Event") },
              ],
            },
          },
          "application/x-ndjson": { schema: ref("Event") },
        },
      },
      responses: {
        "200": { description: "with `wait=stored`: ClickHouse has them", content: json(ref("IngestAnswer")) },
        "202": { description: "the events are on disk", content: json(ref("IngestAnswer")) },
        ...errorAnswers(
          "malformed_json",
          "malformed_encoding",
          "malformed_request",
          "invalid_parameter",
          "unauthenticated",
          "forbidden",
          "method_not_allowed",
          "request_timeout",
          "headers_too_large",
          "version_not_supported",
          "body_too_large",
          "too_many_events",
          "unsupported_media_type",
          "unsupported_encoding",
          "invalid_events",
          "rate_limited",
          "journal_full",
          "journal_failed",
          "ring_full",
          "idempotency_full",
          "overloaded",
          "shutting_down",
        ),
      },
    },
  },
  "/dashboard-stream": {
    get: {
      summary: "The live view, as Server-Sent Events",
      description: "`event: update` carries Update; with `device`, `event: device` carries DeviceUpdate.",
      tags: ["Read"],
      parameters: [
        query("limit", "event types in an update", whole(1, limits.streamTypesMax, limits.streamTypesDefault)),
        query("device", "also this device's own events, as they arrive", text(limits.deviceIdCharacters)),
        header("Last-Event-ID", "continue behind this event", { type: "string" }),
      ],
      responses: {
        "200": {
          description: "a stream that does not end",
          content: { "text/event-stream": { schema: { anyOf: [ref("Update"), ref("DeviceUpdate")] } } },
        },
        ...errorAnswers(
          "invalid_parameter",
          "unauthenticated",
          "forbidden",
          "method_not_allowed",
          "too_many_streams",
          "shutting_down",
        ),
      },
    },
  },
  "/api/history": {
    get: {
      summary: "Figures over time",
      tags: ["Read"],
      parameters: describeParameters(historyParameters),
      responses: { ...answer("History", "one series a type"), ...errorAnswers(...readingErrors) },
    },
  },
  "/api/event-types": {
    get: {
      summary: "Event types with counts",
      tags: ["Read"],
      parameters: describeParameters(eventTypesParameters),
      responses: { ...answer("EventTypes", "by count, largest first"), ...errorAnswers(...readingErrors) },
    },
  },
  "/api/devices": {
    get: {
      summary: "Devices",
      tags: ["Read"],
      parameters: describeParameters(devicesParameters),
      responses: {
        "200": { description: "a page", content: json({ anyOf: [ref("Devices"), ref("DeviceGroups")] }) },
        ...errorAnswers(...readingErrors),
      },
    },
  },
  "/api/device": {
    get: {
      summary: "One device whose id a path cannot carry, such as `..`",
      tags: ["Read"],
      parameters: describeParameters(deviceParameters),
      responses: {
        ...answer("DeviceDetail", "as /api/devices/{device_id}"),
        ...errorAnswers(...readingErrors, "not_found"),
      },
    },
  },
  "/api/devices/{device_id}": {
    get: {
      summary: "One device",
      tags: ["Read"],
      parameters: [
        {
          name: "device_id",
          in: "path",
          required: true,
          description: "percent-encoded",
          schema: text(limits.deviceIdCharacters),
        },
      ],
      responses: {
        ...answer("DeviceDetail", "the device, with its types and the last value of each"),
        ...errorAnswers(...readingErrors, "not_found"),
      },
    },
  },
  "/api/events": {
    get: {
      summary: "Raw events, newest first",
      tags: ["Read"],
      parameters: describeParameters(eventParameters),
      responses: {
        "200": {
          description: "a page, or an export",
          content: {
            ...json(ref("Events")),
            "application/x-ndjson": { schema: ref("StoredEvent") },
            "text/csv": { schema: { type: "string" } },
          },
        },
        ...errorAnswers(...readingErrors),
      },
    },
  },
  "/api/pipeline": {
    get: {
      summary: "What the operator needs to know",
      tags: ["Operate"],
      responses: { ...answer("PipelineDetail", "the pipeline"), ...errorAnswers("unauthenticated", "forbidden") },
    },
  },
  "/api/session": {
    get: {
      summary: "Whether sign-in is needed, and who is signed in",
      tags: ["Access"],
      security: open,
      responses: answer("Session", "the session"),
    },
    post: {
      summary: "Sign in with a viewer key",
      description: "Sets an HttpOnly cookie.",
      tags: ["Access"],
      security: open,
      requestBody: { required: true, content: json(ref("SignIn")) },
      responses: {
        ...answer("Session", "signed in"),
        ...errorAnswers("malformed_request", "forbidden", "body_too_large", "unsupported_media_type", "rate_limited"),
      },
    },
    delete: {
      summary: "Sign out",
      tags: ["Access"],
      security: open,
      responses: { "204": { description: "the session has ended" }, ...errorAnswers("forbidden") },
    },
  },
  "/healthz": {
    get: {
      summary: "Alive",
      tags: ["Operate"],
      security: open,
      responses: { "200": { description: "alive", content: json({ type: "object" }) } },
    },
  },
  "/readyz": {
    get: {
      summary: "Able to accept",
      tags: ["Operate"],
      security: open,
      responses: {
        "200": {
          description: "able; `degraded` says what is wrong all the same",
          content: json({
            type: "object",
            properties: { status: { const: "ready" }, degraded: { type: "array", items: { type: "string" } } },
          }),
        },
        ...errorAnswers("not_ready"),
      },
    },
  },
  "/metrics": {
    get: {
      summary: "Figures for Prometheus",
      tags: ["Operate"],
      responses: {
        "200": { description: "Prometheus text", content: { "text/plain": { schema: { type: "string" } } } },
        ...errorAnswers("unauthenticated", "forbidden"),
      },
    },
  },
  "/openapi": {
    get: {
      summary: "This reference, as a page",
      tags: ["Operate"],
      responses: {
        "200": { description: "a page", content: { "text/html": { schema: { type: "string" } } } },
        ...errorAnswers("unauthenticated", "forbidden"),
      },
    },
  },
  "/openapi/json": {
    get: {
      summary: "This reference, as OpenAPI",
      tags: ["Operate"],
      responses: {
        "200": { description: "an OpenAPI document", content: json({ type: "object" }) },
        ...errorAnswers("unauthenticated", "forbidden"),
      },
    },
  },
};

const protocolPaths: ApiDocument["paths"] = Object.assign({}, ...protocols.map((protocol) => protocol.paths));

/** The whole document; its schemas are the contract's own. */
export function createApiDocument(version: string): ApiDocument {
  return {
    openapi: openapiVersion,
    info: {
      title: "Sluice",
      version,
      description: "Devices POST JSON, ClickHouse has it, every dashboard shows it live.",
    },
    security: [{ viewerKey: [] }, { viewerKeyHeader: [] }, { viewerSession: [] }],
    paths: { ...paths, ...fleetPaths, ...sqlPaths, ...viewPaths, ...alertPaths, ...storagePaths, ...protocolPaths },
    components: {
      schemas: components,
      securitySchemes: {
        ingestKey: { type: "http", scheme: "bearer", description: "one of INGEST_KEYS" },
        ...Object.assign({}, ...protocols.map(({ security }) => security)),
        ingestKeyHeader: { type: "apiKey", in: "header", name: "X-API-Key", description: "one of INGEST_KEYS" },
        viewerKey: { type: "http", scheme: "bearer", description: "one of VIEWER_KEYS" },
        viewerKeyHeader: { type: "apiKey", in: "header", name: "X-API-Key", description: "one of VIEWER_KEYS" },
        viewerSession: { type: "apiKey", in: "cookie", name: "sluice", description: "set by POST /api/session" },
      },
    },
  };
}
