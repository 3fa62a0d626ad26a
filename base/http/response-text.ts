import { STATUS_CODES } from "node:http";
import type { Plain } from "./plain-response.ts";

const bodiless = (status: number): boolean => status < 200 || status === 204 || status === 304;

let dateSecond = 0;
let dateText = "";

/** The Date header; made once a second. */
function dateLine(nowMs: number): string {
  const second = Math.floor(nowMs / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return dateText;
}

export const statusLine = (status: number): string => `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
const closeLine = "Connection: close\r\n";

export interface Framing {
  readonly keepAlive: boolean;
  readonly nowMs: number;
}

/** A whole short response. */
export function plainText(
  { status, contentType, text }: Plain,
  { keepAlive, nowMs }: Framing,
  isHead: boolean,
): string {
  const start = `${statusLine(status)}Content-Type: ${contentType}\r\n${dateLine(nowMs)}${keepAlive ? "" : closeLine}`;
  return `${start}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${isHead ? "" : text}`;
}

/** How the end of a body is told. */
export type BodyEnd =
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" | "close" | "none" };

const framingHeaders: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "date",
]);

/** The head of any response. `begun`: its status line has been sent. */
export function headText(response: Response, end: BodyEnd, { keepAlive, nowMs }: Framing, begun: boolean): string {
  let text = begun ? "" : statusLine(response.status);
  for (const [name, value] of response.headers) {
    if (!framingHeaders.has(name)) text += `${nameOf(name)}: ${value}\r\n`;
  }
  text += dateLine(nowMs);
  if (!keepAlive || end.kind === "close") text += closeLine;
  if (end.kind === "chunked") text += "Transfer-Encoding: chunked\r\n";
  if (end.kind === "length" && !bodiless(response.status)) text += `Content-Length: ${end.bytes}\r\n`;
  return `${text}\r\n`;
}

const names = new Map<string, string>();

/** `Content-Type` for `content-type`: `Headers` keeps names in lower case. */
function nameOf(lower: string): string {
  let name = names.get(lower);
  if (name === undefined) {
    name = lower.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
    if (names.size < 256) names.set(lower, name);
  }
  return name;
}

export const hasNoBody = (response: Response): boolean => bodiless(response.status);
