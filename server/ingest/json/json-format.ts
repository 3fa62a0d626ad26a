import { isUtf8 } from "node:buffer";
import { PlainResponse } from "../../../base/http/plain-response.ts";
import type { EventError, IngestAnswer } from "../../../contract/ingest.ts";
import { limits } from "../../../contract/limits.ts";
import { presentedKey } from "../../access/access.ts";
import { Refusal, refusalResponse } from "../../http/refusal.ts";
import { type IngestFormat, noRejects, type Reading, type Rejects, type Staged } from "../format.ts";
import { isMediaType } from "../media-type.ts";
import type { Staging } from "../staging.ts";
import { type Fault, isEvent, schemaFaults } from "../validate.ts";
import { EventScanner } from "./event-scanner.ts";
import { malformedLine, type ParsedRequest, parseJson, parseNdjson, tooManyEvents } from "./parse.ts";

const answerType = "application/json";
const notUtf8 = new Refusal("malformed_encoding", "the body is not UTF-8");
/** Without a byte order mark. */
const decoder = new TextDecoder();

/** JSON and NDJSON: Sluice's own protocol, `POST /ingest`. */
export function createJsonFormat(): IngestFormat {
  const readings = createReadings(new EventScanner());
  return {
    protocol: "json",
    credential: ({ headers }) => presentedKey(headers),
    open(request) {
      const asked = readAsked(request.url);
      if (asked instanceof Refusal) return asked;
      const mediaType = request.headers.get("content-type");
      const ndjson = mediaType !== null && isMediaType(mediaType, "application/x-ndjson");
      if (!ndjson && (mediaType === null || !isMediaType(mediaType, "application/json"))) {
        return new Refusal(
          "unsupported_media_type",
          `Content-Type must be application/json or application/x-ndjson, not ${mediaType ?? "absent"}`,
        );
      }
      return readings[Number(ndjson) + 2 * Number(asked.stored) + 4 * Number(asked.skip)] as JsonReading;
    },
    refuse: refusalResponse,
  };
}

/** What the query asks for. */
interface Asked {
  /** `wait=stored` */
  readonly stored: boolean;
  /** `on_error=skip` */
  readonly skip: boolean;
}

const plainly: Asked = { stored: false, skip: false };
const allowedValues = { wait: "stored", on_error: "skip" } as const;

/** What this route does not know is refused: who asked for `wait=store` must not believe that it waited. */
function readAsked(url: string): Asked | Refusal {
  // Without parsing the URL: nearly every request has no query.
  const at = url.indexOf("?");
  if (at === -1 || at === url.length - 1) return plainly;
  const parameters = new URLSearchParams(url.slice(at + 1));
  for (const [name, value] of parameters) {
    if (name !== "wait" && name !== "on_error") {
      return new Refusal("invalid_parameter", `${name} is not a parameter of this route; wait and on_error are`);
    }
    if (value !== allowedValues[name])
      return new Refusal("invalid_parameter", `${name} must be ${allowedValues[name]}`);
  }
  return { stored: parameters.has("wait"), skip: parameters.has("on_error") };
}

/** In the order of `open`: NDJSON, then `wait=stored`, then `on_error=skip` change fastest. */
function createReadings(scanner: EventScanner): JsonReading[] {
  return [false, true].flatMap((skip) =>
    [false, true].flatMap((stored) =>
      [false, true].map((ndjson) => new JsonReading(scanner, { skip, stored, ndjson })),
    ),
  );
}

class JsonReading implements Reading {
  readonly protocol = "json";
  readonly waitStored: boolean;
  readonly #scanner: EventScanner;
  readonly #ndjson: boolean;
  readonly #skip: boolean;

  constructor(scanner: EventScanner, asked: Asked & { readonly ndjson: boolean }) {
    this.waitStored = asked.stored;
    this.#scanner = scanner;
    this.#ndjson = asked.ndjson;
    this.#skip = asked.skip;
  }

  stage(body: Uint8Array, staging: Staging): Rejects | Refusal {
    if (!isUtf8(body)) return notUtf8;
    if (stageScanned(this.#scanner, body, this.#ndjson, staging)) return noRejects;
    staging.restart();
    return this.#stageParsed(decoder.decode(body), staging);
  }

  conclude({ rowCount, rejected, rejectedCount }: Staged): string | Refusal {
    if (rejectedCount === 0)
      return rowCount === 1 ? queuedOne : answerText({ status: "queued", event_count: rowCount });
    if (this.#skip) {
      return answerText({
        status: "queued",
        event_count: rowCount,
        rejected: [...rejected],
        rejected_count: rejectedCount,
      });
    }
    return new Refusal(
      "invalid_events",
      `${rejectedCount} of ${rowCount + rejectedCount} events are invalid; nothing was accepted`,
      { details: [...rejected], total: rejectedCount },
    );
  }

  respond(answer: string, stored: boolean): Response {
    return stored
      ? new PlainResponse(answer.replace('"queued"', '"stored"'), 200, answerType)
      : new PlainResponse(answer, 202, answerType);
  }

  /** Any body: what is wrong with it is found here. */
  #stageParsed(text: string, staging: Staging): Rejects | Refusal {
    const parsed = this.#ndjson ? parseNdjson(text, this.#skip, staging.maxEvents) : parseJson(text);
    if (!parsed.ok) return refusalOf(parsed);
    const { events } = parsed;
    if (events.length > staging.maxEvents) {
      const message = tooManyEvents(events.length, staging.maxEvents);
      return new Refusal("too_many_events", message, {}, {}, events.length);
    }
    return stageParsed(parsed.events, parsed.malformed, staging);
  }
}

/** The answer to one event, by far the most frequent one. */
const queuedOne = answerText({ status: "queued", event_count: 1 });

function answerText(answer: IngestAnswer): string {
  return JSON.stringify(answer);
}

/** A body of everyday events, without a detour by objects. False: it is for `stageParsed` to judge. */
function stageScanned(scanner: EventScanner, body: Uint8Array, ndjson: boolean, staging: Staging): boolean {
  scanner.open(body, ndjson, staging);
  for (;;) {
    const step = scanner.next();
    if (step === "doubt" || !staging.addScanned(scanner)) return false;
    if (step === "end") return true;
  }
}

function stageParsed(events: readonly unknown[], malformed: readonly EventError[], staging: Staging): Rejects {
  const rejected: EventError[] = [...malformed];
  let rejectedCount = malformed.length;
  for (const [index, event] of events.entries()) {
    if (event === malformedLine) continue;
    const faults = stageOne(event, staging);
    if (faults.length === 0) continue;
    rejectedCount++;
    for (const fault of faults) if (rejected.length < limits.errorDetails) rejected.push({ index, ...fault });
  }
  if (malformed.length > 0) rejected.sort((a, b) => a.index - b.index);
  return { rejected: rejected.slice(0, limits.errorDetails), rejectedCount };
}

/** What is wrong with the event; nothing when it was added. */
function stageOne(event: unknown, staging: Staging): readonly Fault[] {
  if (!isEvent(event)) return schemaFaults(event);
  const fault = staging.add(event);
  return fault === undefined ? noFaults : [fault];
}

const noFaults: readonly Fault[] = [];

function refusalOf(parsed: Extract<ParsedRequest, { ok: false }>): Refusal {
  if ("fault" in parsed) {
    return new Refusal("invalid_events", "the request is not a list of events; nothing was accepted", {
      details: [parsed.fault],
      total: 1,
    });
  }
  return new Refusal(parsed.code, parsed.message, parsed.position === undefined ? {} : { position: parsed.position });
}
