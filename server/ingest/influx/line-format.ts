import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import type { EventError } from "../../../contract/ingest.ts";
import { limits } from "../../../contract/limits.ts";
import { Refusal } from "../../http/refusal.ts";
import type { RouteName } from "../../http/request-metrics.ts";
import type { IngestFormat, Reading, Rejects, Staged } from "../format.ts";
import type { Staging } from "../staging.ts";
import { influxCredential } from "./credential.ts";
import { influxError, lineError } from "./errors.ts";
import { LineScanner } from "./line-scanner.ts";
import { type Precision, precisionNames, precisionOf } from "./precision.ts";

/** What differs between the three generations of write routes. */
export interface LineRoute {
  readonly path: RouteName;
  /** The parameter that says where to: a database or a bucket. */
  readonly place: "db" | "bucket";
  readonly precision: Precision;
  /** Further parameters that its clients send, and that say nothing here. */
  readonly ignored: readonly string[];
  /** It has `accept_partial`, which as `false` lets a bad line refuse all of them. */
  readonly hasAcceptPartial: boolean;
}

const credentials = ["u", "p"];
export const lineRoutes: readonly LineRoute[] = [
  {
    path: "/write",
    place: "db",
    precision: "ns",
    ignored: ["rp", "consistency", ...credentials],
    hasAcceptPartial: false,
  },
  {
    path: "/api/v2/write",
    place: "bucket",
    precision: "ns",
    ignored: ["org", "orgID", "bucketID", ...credentials],
    hasAcceptPartial: false,
  },
  {
    path: "/api/v3/write_lp",
    place: "db",
    precision: "auto",
    ignored: ["no_sync", ...credentials],
    hasAcceptPartial: true,
  },
];

export interface LineFormatOptions {
  /** Tags that name the device, in order of preference. */
  readonly deviceTags: readonly string[];
}

interface Asked {
  readonly place: string;
  readonly precision: Precision;
  readonly partial: boolean;
}

const textEncoder = new TextEncoder();

/** Influx line protocol over HTTP, as one of its routes speaks it. */
export function createLineFormat(route: LineRoute, options: LineFormatOptions): IngestFormat {
  const scanner = new LineScanner();
  const deviceTags = options.deviceTags.map((tag) => textEncoder.encode(tag));
  return {
    protocol: "influx",
    credential: influxCredential,
    open(request) {
      const asked = readAsked(request.url, route);
      return asked instanceof Refusal ? asked : new LineReading(scanner, deviceTags, asked);
    },
    refuse: influxError,
  };
}

function readAsked(url: string, route: LineRoute): Asked | Refusal {
  const parameters = new URL(url).searchParams;
  const known = [route.place, "precision", ...(route.hasAcceptPartial ? ["accept_partial"] : []), ...route.ignored];
  for (const name of parameters.keys()) {
    if (known.includes(name)) continue;
    return new Refusal("invalid_parameter", `${name} is not a parameter of this route, which has ${known.join(", ")}`);
  }
  const named = parameters.get("precision");
  const precision = named === null || named === "" ? route.precision : precisionOf(named);
  if (precision === undefined) return new Refusal("invalid_parameter", `precision must be ${precisionNames}`);
  const partial = parameters.get("accept_partial") ?? "true";
  if (partial !== "true" && partial !== "false") {
    return new Refusal("invalid_parameter", "accept_partial must be true or false");
  }
  return { place: parameters.get(route.place) ?? "", precision, partial: partial === "true" };
}

/** One request: it knows, between `stage` and `conclude`, how many of its lines were good. */
class LineReading implements Reading {
  readonly protocol = "influx";
  readonly waitStored = false;
  readonly #scanner: LineScanner;
  readonly #deviceTags: readonly Uint8Array[];
  readonly #asked: Asked;
  #goodLines = 0;

  constructor(scanner: LineScanner, deviceTags: readonly Uint8Array[], asked: Asked) {
    this.#scanner = scanner;
    this.#deviceTags = deviceTags;
    this.#asked = asked;
  }

  stage(body: Uint8Array, staging: Staging): Rejects | Refusal {
    const scanner = this.#scanner;
    const place = textEncoder.encode(this.#asked.place);
    const isText = isUtf8(body);
    const rejected: EventError[] = [];
    let rejectedCount = 0;
    scanner.open(body, { precision: this.#asked.precision, deviceTags: this.#deviceTags, place });
    for (let step = scanner.next(); step !== "end"; step = scanner.next()) {
      // A bad line takes the place of an event, so that a body of nothing else ends, too.
      const events = step === "bad" ? 1 : scanner.fieldCount;
      if (staging.rowCount + rejectedCount + events > staging.maxEvents) return tooManyEvents(staging.maxEvents);
      const fault =
        step === "bad"
          ? `unable to parse: ${scanner.fault}`
          : isText || isUtf8(scanner.line)
            ? addPoint(scanner, staging)
            : "unable to parse: it is not UTF-8";
      if (fault === undefined) {
        this.#goodLines++;
        continue;
      }
      rejectedCount++;
      if (rejected.length < limits.errorDetails) rejected.push({ index: scanner.lineNumber, path: "", message: fault });
    }
    return { rejected, rejectedCount };
  }

  /** A write that is retried has the same bytes. Without a time on every line they may as well be news. */
  keyOf(body: Uint8Array): string | null {
    if (!hasTimes(body)) return null;
    const { place, precision } = this.#asked;
    return `lines ${createHash("sha256").update(`${precision} ${place}\n`).update(body).digest("base64")}`;
  }

  conclude({ rowCount, rejected, rejectedCount }: Staged): string | Refusal {
    if (rejectedCount === 0) return "";
    const total = `${rejectedCount} of ${rejectedCount + this.#goodLines} lines refused`;
    const message = [...rejected.map(({ index, message }) => `line ${index}: ${message}`), total].join("; ");
    if (rowCount > 0 && this.#asked.partial) return `partial write: ${message}`;
    return new Refusal("invalid_events", message);
  }

  respond(answer: string): Response {
    return answer === "" ? new Response(null, { status: 204 }) : lineError(answer);
  }
}

/** All fields of the point, or the reason why none. What can be wrong is of the point, so the first field tells. */
function addPoint(scanner: LineScanner, staging: Staging): string | undefined {
  for (let index = 0; index < scanner.fieldCount; index++) {
    scanner.select(index);
    const fault = staging.addPlaced(scanner);
    if (fault === undefined) continue;
    // Telegraf drops what these words say, and would send anything else again for ever.
    return fault.path === "/timestamp"
      ? `points beyond retention policy: the time ${fault.message}`
      : `unable to parse: ${fault.message}`;
  }
  return undefined;
}

function tooManyEvents(maxEvents: number): Refusal {
  return new Refusal("too_many_events", `more than ${maxEvents} fields in one request (MAX_EVENTS_PER_REQUEST)`);
}

const newline = 10;
const carriageReturn = 13;
const space = 32;
const hash = 35;

/** Whether every line ends in a time. A string with a line end in it may be taken for one that does not, never the reverse. */
export function hasTimes(body: Uint8Array): boolean {
  let lines = 0;
  for (let start = 0; start < body.length; ) {
    const found = body.indexOf(newline, start);
    const end = found < 0 ? body.length : found;
    let at = end - 1;
    while (at >= start && (body[at] === space || body[at] === carriageReturn)) at--;
    if (at >= start && body[start] !== hash) {
      const last = at;
      while (at >= start && isDigit(body[at])) at--;
      if (at === last || at < start || body[at] !== space) return false;
      lines++;
    }
    start = end + 1;
  }
  return lines > 0;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57;
}
