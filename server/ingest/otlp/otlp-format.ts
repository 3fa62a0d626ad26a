import { createHash } from "node:crypto";
import { type ErrorCode, errorStatus } from "../../../contract/error.ts";
import type { EventError } from "../../../contract/ingest.ts";
import { limits } from "../../../contract/limits.ts";
import { presentedKey } from "../../access/access.ts";
import { Refusal } from "../../http/refusal.ts";
import type { IngestFormat, Reading, Rejects, Staged } from "../format.ts";
import { isMediaType } from "../media-type.ts";
import type { Staging } from "../staging.ts";
import { type Encoding, type Signal, statusMessage } from "./messages.ts";
import { type Point, pointFault } from "./point.ts";

export interface OtlpOptions {
  /** Attributes of the resource that name the device, in order of preference. */
  readonly deviceAttributes: readonly string[];
}

export interface OtlpDeps {
  /** Exemplars point from a metric to a trace; there are no traces here, so they are dropped and counted. */
  readonly onExemplarsDropped: (count: number) => void;
}

const mediaTypes: Readonly<Record<Encoding, string>> = { protobuf: "application/x-protobuf", json: "application/json" };
/** In an answer one reason stands for all that are alike, and no more than these. */
const reasonsTold = 10;
/** What a partial success remembers between `conclude` and `respond`. */
interface Outcome {
  readonly rejected: number;
  readonly message: string;
}

/** OTLP over HTTP, for one kind of telemetry. */
export function createOtlpFormat(deps: OtlpDeps, signal: Signal, options: OtlpOptions): IngestFormat {
  return {
    protocol: "otlp",
    credential: ({ headers }) => presentedKey(headers),
    open(request) {
      const encoding = encodingOf(request);
      if (encoding === undefined) {
        const given = request.headers.get("content-type") ?? "absent";
        return new Refusal(
          "unsupported_media_type",
          `Content-Type must be application/x-protobuf or application/json, not ${given}`,
        );
      }
      const unknown = [...new URL(request.url).searchParams.keys()][0];
      if (unknown !== undefined) {
        return new Refusal("invalid_parameter", `${unknown} is not a parameter of this route, which has none`);
      }
      return new OtlpReading(deps, signal, encoding, options);
    },
    refuse: (refusal, request) => respondStatus(refusal, encodingOf(request) ?? "json"),
  };
}

function encodingOf(request: Request): Encoding | undefined {
  const header = request.headers.get("content-type") ?? "";
  if (isMediaType(header, mediaTypes.protobuf)) return "protobuf";
  return isMediaType(header, mediaTypes.json) ? "json" : undefined;
}

class OtlpReading implements Reading {
  readonly protocol = "otlp";
  readonly waitStored = false;
  readonly #deps: OtlpDeps;
  readonly #signal: Signal;
  readonly #encoding: Encoding;
  readonly #options: OtlpOptions;
  /** What `keyOf` has read already. */
  #points: readonly Point[] | Refusal | undefined;

  constructor(deps: OtlpDeps, signal: Signal, encoding: Encoding, options: OtlpOptions) {
    this.#deps = deps;
    this.#signal = signal;
    this.#encoding = encoding;
    this.#options = options;
  }

  #read(body: Uint8Array): readonly Point[] | Refusal {
    try {
      this.#points ??= this.#signal.read(body, this.#encoding, this.#options.deviceAttributes);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const why = error.message.slice(0, 200);
      this.#points = new Refusal("malformed_request", `the body is not the message of this route: ${why}`);
    }
    return this.#points;
  }

  /** Exporters send the same bytes again when an answer is lost, and every point that has a time is of that moment. */
  keyOf(body: Uint8Array): string | null {
    const points = this.#read(body);
    if (points instanceof Refusal || points.length === 0) return null;
    if (points.some(({ events }) => events[0]?.timestamp === undefined)) return null;
    return `otlp ${createHash("sha256").update(this.#encoding).update(body).digest("base64")}`;
  }

  stage(body: Uint8Array, staging: Staging): Rejects | Refusal {
    const points = this.#read(body);
    if (points instanceof Refusal) return points;
    const rejected: EventError[] = [];
    let rejectedCount = 0;
    let exemplars = 0;
    for (const [index, point] of points.entries()) {
      if (staging.rowCount + rejectedCount + point.events.length > staging.maxEvents) {
        const limit = `${staging.maxEvents} events in one request (MAX_EVENTS_PER_REQUEST)`;
        return new Refusal("too_many_events", `the points are more than ${limit}; export smaller batches`);
      }
      exemplars += point.exemplars;
      const fault = pointFault(point) ?? addPoint(point, staging);
      if (fault === undefined) continue;
      rejectedCount++;
      if (rejected.length < limits.errorDetails) rejected.push({ index, path: "", message: fault });
    }
    if (exemplars > 0) this.#deps.onExemplarsDropped(exemplars);
    return { rejected, rejectedCount };
  }

  conclude({ rejected, rejectedCount }: Staged): string {
    const outcome: Outcome = { rejected: rejectedCount, message: reasonsOf(rejected) };
    return rejectedCount === 0 ? "" : JSON.stringify(outcome);
  }

  respond(answer: string): Response {
    const { rejected, message }: Outcome = answer === "" ? { rejected: 0, message: "" } : JSON.parse(answer);
    return respond(200, this.#encoding, this.#signal.answer(this.#encoding, rejected, message));
  }
}

/** What can be wrong is the same for all events of a point, so the first one tells. */
function addPoint({ events }: Point, staging: Staging): string | undefined {
  for (const event of events) {
    const fault = staging.add(event);
    if (fault !== undefined) return `${fault.path.slice(1)} ${fault.message}`;
  }
  return undefined;
}

function reasonsOf(rejected: readonly EventError[]): string {
  const places = Map.groupBy(rejected, ({ message }) => message);
  return [...places]
    .slice(0, reasonsTold)
    .map(([message, errors]) => {
      const first = errors[0]?.index ?? 0;
      return errors.length === 1
        ? `point ${first}: ${message}`
        : `point ${first} and ${errors.length - 1} more: ${message}`;
    })
    .join("; ");
}

/** Of gRPC, as `google.rpc.Status` numbers them. */
const statusCodes: Readonly<Record<number, number>> = {
  401: 16,
  403: 7,
  404: 5,
  413: 8,
  415: 3,
  429: 8,
  500: 13,
  503: 14,
};
const invalidArgument = 3;

/** What is no success: a Status message. 429 and 503 are what exporters try again, and both say when. */
function respondStatus({ code, message, extra, headers }: Refusal, encoding: Encoding): Response {
  const status = errorStatus[code satisfies ErrorCode];
  const body = statusMessage(encoding, statusCodes[status] ?? invalidArgument, message, {
    error: { code, message, ...extra },
  });
  return respond(status, encoding, body, { ...(status === 503 ? { "Retry-After": "1" } : {}), ...headers });
}

function respond(
  status: number,
  encoding: Encoding,
  body: Uint8Array | string,
  headers: Record<string, string> = {},
): Response {
  return new Response(body as BodyInit, { status, headers: { ...headers, "Content-Type": mediaTypes[encoding] } });
}
