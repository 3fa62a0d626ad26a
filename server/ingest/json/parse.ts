import { type ParseError, parse as parseJsonc, printParseErrorCode } from "jsonc-parser";
import type { ErrorCode } from "../../../contract/error.ts";
import type { EventError } from "../../../contract/ingest.ts";

export type ParsedRequest =
  | { readonly ok: true; readonly events: readonly unknown[]; readonly malformed: readonly EventError[] }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly position?: number }
  | { readonly ok: false; readonly code: "invalid_events"; readonly fault: EventError };

export const tooManyEvents = (count: number | string, maxEvents: number): string =>
  `${count} events: at most ${maxEvents} a request (MAX_EVENTS_PER_REQUEST)`;

/** The place of a line that was not JSON, among the events of an NDJSON body read with `on_error=skip`. */
export const malformedLine = Symbol("malformed line");

/** `{"events": […]}`, an array, or one bare event. Whether they are events is not looked at here. */
export function parseJson(text: string): ParsedRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return locateSyntaxError(text, 0);
  }
  if (Array.isArray(value)) return { ok: true, events: value, malformed: [] };
  if (typeof value === "object" && value !== null && Object.hasOwn(value, "events")) {
    for (const name in value) {
      if (name !== "events") return { ok: false, code: "invalid_events", fault: unknownField(name) };
    }
    const { events } = value as { events: unknown };
    if (!Array.isArray(events)) {
      return { ok: false, code: "invalid_events", fault: { index: 0, path: "/events", message: "must be an array" } };
    }
    return { ok: true, events, malformed: [] };
  }
  return { ok: true, events: [value], malformed: [] };
}

const unknownField = (name: string): EventError => ({
  index: 0,
  path: `/${name}`,
  message: "is not a field of a request; beside events there is none",
});

/**
 * An event a line; blank lines are passed over. With `skipMalformed`, a line that is not JSON counts as an invalid event. Stops
 * at the line that is one too many: eight million bad lines would take minutes to name.
 */
export function parseNdjson(text: string, skipMalformed: boolean, maxEvents: number): ParsedRequest {
  const events: unknown[] = [];
  const malformed: EventError[] = [];
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(start, end);
    if (line.trim() !== "") {
      if (events.length === maxEvents) {
        return { ok: false, code: "too_many_events", message: tooManyEvents(`more than ${maxEvents}`, maxEvents) };
      }
      try {
        events.push(JSON.parse(line));
      } catch {
        const error = locateSyntaxError(line, start);
        if (!skipMalformed) return error;
        malformed.push({ index: events.length, path: "", message: error.message });
        events.push(malformedLine);
      }
    }
    start = end + 1;
  }
  if (events.length === 0) return { ok: false, code: "malformed_json", message: "the body is empty", position: 0 };
  return { ok: true, events, malformed };
}

/** Bun's own message names no position; a tolerant parser finds it. Runs on refused input only. */
function locateSyntaxError(text: string, offset: number): Extract<ParsedRequest, { message: string }> {
  if (text.trim() === "") return { ok: false, code: "malformed_json", message: "the body is empty", position: offset };
  const errors: ParseError[] = [];
  // Its recursion follows the input's; past this length nobody reads the position by eye anyway.
  if (text.length <= maxLocatedLength) {
    try {
      parseJsonc(text, errors, { disallowComments: true });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  const [first] = errors;
  if (!first) return { ok: false, code: "malformed_json", message: "the body is not JSON" };
  return {
    ok: false,
    code: "malformed_json",
    message: `the body is not JSON: ${printParseErrorCode(first.error)} at character ${offset + first.offset}`,
    position: offset + first.offset,
  };
}

const maxLocatedLength = 1 << 20;
