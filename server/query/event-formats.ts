import type { StoredEvent } from "../../contract/event.ts";

export interface ExportFormat {
  contentType: string;
  /** Ends with a line break, unless empty. */
  head: string;
  encode(event: StoredEvent): string;
}

const columns = [
  "timestamp",
  "received_at",
  "device_id",
  "event_type",
  "value_float",
  "value_string",
  "metadata",
] as const satisfies readonly (keyof StoredEvent)[];

/** Null is an empty field and an empty string a quoted one; metadata is JSON. Source: RFC 4180. */
function encodeCsvField(value: StoredEvent[(typeof columns)[number]]): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text === "" || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const exportFormats = {
  ndjson: {
    contentType: "application/x-ndjson; charset=utf-8",
    head: "",
    encode: (event) => `${JSON.stringify(event)}\n`,
  },
  csv: {
    contentType: "text/csv; charset=utf-8; header=present",
    head: `${columns.join(",")}\r\n`,
    encode: (event) => `${columns.map((column) => encodeCsvField(event[column])).join(",")}\r\n`,
  },
} as const satisfies Record<string, ExportFormat>;
