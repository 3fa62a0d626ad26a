import { constants, gzipSync, zstdCompressSync } from "node:zlib";

/** One connection: what is written, in which pieces, and how it ends. */
export interface FramingCase {
  readonly pieces: readonly Buffer[];
  /** Half-closed after the last piece, or cut off without waiting for an answer. */
  readonly end: "half-close" | "reset";
  /** Nothing was damaged: every message gets its 2xx. */
  readonly whole: boolean;
  readonly messages: number;
  /** How it was damaged; for the report. */
  readonly damage: string;
}

export type Random = () => number;

/** Mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const below = (random: Random, limit: number): number => Math.floor(random() * limit);
const pick = <T>(random: Random, from: readonly T[]): T => from[below(random, from.length)] as T;
const chance = (random: Random, probability: number): boolean => random() < probability;

interface Message {
  readonly bytes: Buffer;
  /** Where damage may be done: what tells one event from another is left alone, or it could not be looked up. */
  readonly loose: readonly number[];
}

type Packing = "identity" | "gzip" | "zstd";

function pack(bytes: Buffer, packing: Packing): Buffer {
  if (packing === "gzip") return gzipSync(bytes);
  // The checksum tells damage from content.
  if (packing === "zstd") return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  return bytes;
}

function chunked(random: Random, body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = 1 + below(random, body.length - at);
    const digits = chance(random, 0.2) ? size.toString(16).toUpperCase().padStart(4, "0") : size.toString(16);
    const extension = chance(random, 0.1) ? `;name="a b"` : "";
    parts.push(Buffer.from(`${digits}${extension}\r\n`), body.subarray(at, at + size), Buffer.from("\r\n"));
    at += size;
  }
  const trailers = chance(random, 0.2) ? "X-Trailer: content-length: 5\r\n" : "";
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailers}\r\n`)]);
}

const mixedCase = (random: Random, name: string): string =>
  chance(random, 0.3)
    ? [...name].map((letter) => (chance(random, 0.5) ? letter.toUpperCase() : letter.toLowerCase())).join("")
    : name;

function headersOf(random: Random, packing: Packing, ndjson: boolean, body: Buffer, isChunked: boolean): string {
  const headers = [
    `Content-Type: ${ndjson ? "application/x-ndjson" : "application/json"}`,
    ...(packing === "identity" ? [] : [`Content-Encoding: ${packing}`]),
    isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`,
    ...(chance(random, 0.2) ? ["X-Empty:"] : []),
    ...(chance(random, 0.2) ? ["Connection: keep-alive"] : []),
    ...(chance(random, 0.05) ? ["Expect: 100-continue"] : []),
    ...(chance(random, 0.05) ? ["Connection: Upgrade", "Upgrade: h2c"] : []),
  ].sort(() => random() - 0.5);
  return ["Host: localhost", ...headers]
    .map((line) => `${mixedCase(random, line.slice(0, line.indexOf(":")))}${line.slice(line.indexOf(":"))}\r\n`)
    .join("");
}

function buildMessage(random: Random, id: string): Message {
  if (chance(random, 0.08)) {
    const bytes = Buffer.from("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return { bytes, loose: [...bytes.keys()] };
  }
  const event = `{"device_id":"${id}","event_type":"framing","value_float":${below(random, 100)}}`;
  const ndjson = chance(random, 0.3);
  const packing = pick<Packing>(random, ["identity", "identity", "identity", "gzip", "zstd"]);
  const body = pack(
    Buffer.from(ndjson ? `${event}\n` : chance(random, 0.5) ? event : `{"events":[${event}]}`),
    packing,
  );
  const isChunked = chance(random, 0.4);
  const head = `POST /ingest HTTP/1.1\r\n${headersOf(random, packing, ndjson, body, isChunked)}\r\n`;
  // The head, and the lines of chunks, may be damaged anywhere; a body only where it is packed, and so has a checksum.
  const framed = isChunked ? chunked(random, body) : body;
  const bytes = Buffer.concat([Buffer.from(head), framed]);
  const loose = [...bytes.keys()].filter((at) => at < head.length || packing !== "identity");
  return { bytes, loose };
}

type Damage = (random: Random, message: Message) => Buffer;

const at = (random: Random, { loose }: Message): number => pick(random, loose);
const splice = (bytes: Buffer, from: number, remove: number, insert: string | Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, from), Buffer.from(insert as string, "latin1"), bytes.subarray(from + remove)]);
const oddBytes = ["\0", "\r", "\n", "\r\n", " ", "\t", ":", "\x7f", "\xff", "0", "g", ";", "-", "+", ","];
const replaced = (message: Message, from: RegExp, to: string): Buffer =>
  Buffer.from(message.bytes.toString("latin1").replace(from, to), "latin1");

/** What a client, a proxy or an attacker does to the framing of a message. */
const damages: Readonly<Record<string, Damage>> = {
  insert: (random, message) => splice(message.bytes, at(random, message), 0, pick(random, oddBytes)),
  remove: (random, message) => splice(message.bytes, at(random, message), 1, ""),
  replace: (random, message) => splice(message.bytes, at(random, message), 1, pick(random, oddBytes)),
  flip: (random, message) => {
    const place = at(random, message);
    return splice(
      message.bytes,
      place,
      1,
      String.fromCharCode((message.bytes[place] as number) ^ (1 << below(random, 8))),
    );
  },
  cut: (random, { bytes }) => bytes.subarray(0, below(random, bytes.length)),
  append: (random, { bytes }) =>
    Buffer.concat([
      bytes,
      Buffer.from(pick(random, ["\r\n", "\0", "x", "\r\n\r\n\0", "GET", "0\r\n\r\n", "\x16\x03\x01"])),
    ]),
  longer: (random, message) =>
    replaced(
      message,
      /(content-length: )(\d+)/i,
      `$1${pick(random, ["99999999999", "18446744073709551617", "4294967296"])}`,
    ),
  offByOne: (random, message) =>
    Buffer.from(
      message.bytes
        .toString("latin1")
        .replace(
          /(content-length: )(\d+)/i,
          (_, name, length) => `${name}${Number(length) + (chance(random, 0.5) ? 1 : -1)}`,
        ),
      "latin1",
    ),
  lengthTwice: (random, message) =>
    replaced(
      message,
      /(content-length: )(\d+)/i,
      pick(random, ["$1$2\r\n$1$2", "$1$2, $2", "$1$2\r\n$19", "$1+$2", "$10x$2", "$1$2 $2"]),
    ),
  lengthAndChunks: (_, message) => replaced(message, /(content-length: \d+)/i, "$1\r\nTransfer-Encoding: chunked"),
  chunksAndLength: (random, message) =>
    replaced(
      message,
      /(transfer-encoding: chunked)/i,
      pick(random, [
        "$1\r\nContent-Length: 5",
        "Transfer-Encoding: gzip, chunked",
        "$1, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:\tchunked\r\nTransfer-Encoding: identity",
      ]),
    ),
  lineFeeds: (_, message) => replaced(message, /\r\n/, "\n"),
  fold: (_, message) => replaced(message, /(content-type: )/i, "$1\r\n "),
  spaceBeforeColon: (_, message) => replaced(message, /(content-length|transfer-encoding):/i, "$1 :"),
  version: (random, message) =>
    replaced(
      message,
      /HTTP\/1\.1/,
      pick(random, ["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.10", "http/1.1", "HTTP/9.9"]),
    ),
  method: (random, message) =>
    replaced(message, /^POST/, pick(random, ["PUT", "post", "POSTX", "CONNECT", "HEAD", "OPTIONS", "GET"])),
  target: (random, message) =>
    replaced(
      message,
      /\/ingest/,
      pick(random, [
        "/ingest?wiat=1",
        "//ingest",
        "/ingest/../ingest",
        "http://localhost/ingest",
        "*",
        "ingest",
        "/ingest#x",
        "/ing%65st",
        "/ingest ",
      ]),
    ),
  host: (random, message) =>
    replaced(
      message,
      /host: localhost\r\n/i,
      pick(random, ["", "Host: a\r\nHost: b\r\n", "Host: a b\r\n", "Host: \r\n"]),
    ),
  hugeHead: (_, message) => replaced(message, /\r\n\r\n/, `\r\nX-Long: ${"y".repeat(20_000)}\r\n\r\n`),
  manyHeaders: (_, message) => replaced(message, /\r\n\r\n/, `\r\n${"X: y\r\n".repeat(150)}\r\n`),
};
const damageNames = Object.keys(damages);

/** Cuts the bytes into segments: mostly one, sometimes many, sometimes byte by byte around a place. */
function cutInPieces(random: Random, bytes: Buffer): Buffer[] {
  if (chance(random, 0.5)) return [bytes];
  const cuts = Array.from({ length: 1 + below(random, 5) }, () => below(random, bytes.length + 1)).sort(
    (a, b) => a - b,
  );
  const places = [0, ...cuts, bytes.length];
  return places
    .slice(1)
    .map((end, index) => bytes.subarray(places[index], end))
    .filter((piece) => piece.length > 0);
}

/** `id` begins the device ids of this case's events. */
export function buildCase(random: Random, id: string): FramingCase {
  const messages = Array.from({ length: 1 + below(random, 4) }, (_, index) => buildMessage(random, `${id}-${index}`));
  const damaged = chance(random, 0.75) ? below(random, messages.length) : -1;
  const damage = damaged === -1 ? "none" : pick(random, damageNames);
  const bytes = Buffer.concat(
    messages.map((message, index) =>
      index === damaged ? (damages[damage] as Damage)(random, message) : message.bytes,
    ),
  );
  const end = chance(random, 0.05) ? "reset" : "half-close";
  return { pieces: cutInPieces(random, bytes), end, whole: damaged === -1, messages: messages.length, damage };
}
