import { Elysia } from "elysia";
import { limits } from "../../contract/limits.ts";
import type { Events } from "../../contract/read.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { type ExportFormat, exportFormats } from "./event-formats.ts";
import {
  createEventPages,
  type EventFilter,
  type EventPage,
  type EventPlace,
  type ReadEventPage,
} from "./event-pages.ts";
import { choice, cursor, range, readParameters, text, texts, whole, withDefault } from "./parameters.ts";
import type { Reader } from "./reader.ts";
import { answer, invalidParameter, jsonAnswer, noStore, withDeadline } from "./refusal.ts";

/** Events in one export, which is streamed page by page; also what it gives without a limit. */
const exportEventsMax = 1_000_000;
/** Later pages of an export are as long as this many bytes allow, by the size of the events before, within bounds. */
const exportPageBytes = 8 * 1024 * 1024;
const exportPageMax = 20_000;
const exportPageMin = 50;

const format = withDefault(choice("ndjson and csv are streamed", ["json", "ndjson", "csv"]), "json");
const pageLimit = withDefault(whole("events of a page", 1, limits.pageMax), limits.pageDefault);
const exportLimit = withDefault(whole("events of an export", 1, exportEventsMax), exportEventsMax);

export const eventParameters = {
  device_id: text("of one device", limits.deviceIdCharacters),
  event_type: texts("may repeat", limits.eventTypeCharacters, limits.historySeries),
  ...range,
  limit: {
    description: "events of a page; of an export up to 1,000,000",
    schema: { ...exportLimit.schema, default: limits.pageDefault },
    read: (given: URLSearchParams, name: string) =>
      (format.read(given, "format") === "json" ? pageLimit : exportLimit).read(given, name),
  },
  cursor,
  format,
};

/** GET /api/events: raw events, newest first; JSON by pages, NDJSON and CSV as a stream. */
export function createEventRoutes(deps: { reader: Reader }) {
  const readPage = createEventPages(deps.reader);
  return new Elysia({ name: "events" }).get("/api/events", ({ request }) =>
    answer(request, async (signal) => {
      const given = readParameters(new URL(request.url), eventParameters);
      const filter: EventFilter = {
        deviceId: given.device_id,
        eventTypes: given.event_type,
        fromMs: given.from,
        toMs: given.to,
      };
      if (filter.fromMs !== undefined && filter.toMs !== undefined && filter.fromMs >= filter.toMs) {
        throw invalidParameter("from", "must be before `to`");
      }
      const { format, limit, cursor } = given;
      const scope = ["events", filter.deviceId ?? null, filter.eventTypes, filter.fromMs ?? null, filter.toMs ?? null];
      const after = cursor === undefined ? null : decodePlace(cursor, scope);

      const page = await readPage(filter, after, Math.min(limit, limits.pageMax), signal);
      if (format !== "json") {
        return exportAnswer(exportFormats[format], { readPage, filter, limit, first: page, signal: request.signal });
      }
      const next = page.next === null ? null : encodePlace(page.next, scope);
      return jsonAnswer<Events>({ events: page.events, cursor: next });
    }),
  );
}

const encodePlace = (place: EventPlace, scope: readonly unknown[]): string =>
  encodeCursor(scope, [place.timestampMs, place.hash, place.equals]);

function decodePlace(cursor: string, scope: readonly unknown[]): EventPlace {
  const [timestampMs, hash, equals] = decodeCursor(cursor, scope, ["integer", "digits", "integer"]);
  return { timestampMs: Number(timestampMs), hash: String(hash), equals: Number(equals) };
}

interface Export {
  readPage: ReadEventPage;
  filter: EventFilter;
  limit: number;
  /** Read before the answer begins, so that what goes wrong at once has its own status. */
  first: EventPage;
  signal: AbortSignal;
}

/** One page is held at a time, and the next is read when the client has taken it. A failure half-way breaks the transfer. */
function exportAnswer(format: ExportFormat, task: Export): Response {
  const gone = new AbortController();
  const signal = AbortSignal.any([task.signal, gone.signal]);
  const encoder = new TextEncoder();
  let page: EventPage | null = task.first;
  let left = task.limit;
  let head = format.head;

  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (page === null) return controller.close();
        const { events, next } = page;
        const bytes = encoder.encode(head + events.map(format.encode).join(""));
        head = "";
        left -= events.length;
        if (bytes.length > 0) controller.enqueue(bytes);
        const fitting = Math.floor((exportPageBytes * events.length) / Math.max(1, bytes.length));
        const wanted = Math.min(left, exportPageMax, Math.max(exportPageMin, fitting));
        page = next === null || left <= 0 ? null : await task.readPage(task.filter, next, wanted, withDeadline(signal));
        if (page === null) controller.close();
      },
      cancel: () => gone.abort(),
    },
    { highWaterMark: 0 },
  );
  const name = `events.${format === exportFormats.csv ? "csv" : "ndjson"}`;
  return new Response(body, {
    headers: {
      "Content-Type": format.contentType,
      "Content-Disposition": `attachment; filename="${name}"`,
      "X-Content-Type-Options": "nosniff",
      ...noStore,
    },
  });
}
