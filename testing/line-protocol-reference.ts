import { limits } from "../contract/limits.ts";

/** Line protocol by regular expressions and objects: slow and plain, the oracle of `LineScanner`. */
export interface ReferenceOptions {
  readonly precision: "ns" | "us" | "ms" | "s" | "m" | "h";
  readonly deviceTags: readonly string[];
  readonly place: string | null;
}

export interface ReferenceField {
  readonly type: string;
  readonly value: number | null;
  readonly text: string | null;
}

export interface ReferencePoint {
  readonly line: number;
  readonly device: string;
  readonly tags: readonly (readonly [key: string, value: string])[];
  readonly fields: readonly ReferenceField[];
  readonly timeMs: number | null;
}

const measurement = String.raw`(?:\\[,= "]|\\(?![,= "])|[^\\, \n])+`;
const tagName = String.raw`(?:\\[,= ]|\\(?![,= ])|[^\\,= \n])+`;
const fieldName = String.raw`(?:\\[,= "]|\\(?![,= "])|[^\\,= \n])+`;
const float = String.raw`-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?`;
const boolean = "t|T|true|True|TRUE|f|F|false|False|FALSE";
const quoted = String.raw`"(?:\\["\\]|\\(?!["\\])|[^"\\])*"`;
const value = String.raw`(?:-?\d+[iut]|${float}|${boolean}|${quoted})(?=[, ]|\r?(?:\n|$(?![\s\S])))`;
const lineEnd = String.raw`\r?(?=\n|$(?![\s\S]))`;
const point = new RegExp(
  String.raw`(${measurement})((?:,${tagName}=${tagName})*) [ \t]*(?![ \t])(${fieldName}=${value}(?:,${fieldName}=${value})*)` +
    String.raw`(?: [ \t]*(?:(-?\d+)[ \t]*)?)?${lineEnd}`,
  "y",
);

export function parseReference(
  text: string,
  options: ReferenceOptions,
): { points: ReferencePoint[]; badLines: number[] } {
  const points: ReferencePoint[] = [];
  const badLines: number[] = [];
  for (let at = 0; at < text.length; ) {
    const blank = /[ \t]*(?:\r(?=\n|$(?![\s\S])))?/y;
    blank.lastIndex = at;
    at += blank.exec(text)?.[0].length ?? 0;
    if (at >= text.length) break;
    if (text[at] === "\n") {
      at++;
      continue;
    }
    if (text[at] === "#") {
      at = firstLineEnd(text, at);
      continue;
    }
    const line = text.slice(0, at).split("\n").length;
    point.lastIndex = at;
    const match = point.exec(text);
    const read = match && readPoint(match, line, options);
    if (read) points.push(read);
    else badLines.push(line);
    at = read ? point.lastIndex : badLineEnd(text, at);
  }
  return { points, badLines };
}

function readPoint(match: RegExpExecArray, line: number, options: ReferenceOptions): ReferencePoint | undefined {
  const [, name = "", tagList = "", fieldList = "", time] = match;
  const tags = [...tagList.matchAll(new RegExp(`,(${tagName})=(${tagName})`, "g"))].map(
    ([, key = "", value = ""]) => [key.replace(/\\([,= ])/g, "$1"), value.replace(/\\([,= ])/g, "$1")] as const,
  );
  const keys = tags.map(([key]) => key);
  if (new Set(keys).size < keys.length || keys.length > limits.metadataKeys) return undefined;
  const deviceTag = options.deviceTags.find((tag) => keys.includes(tag));
  const device = tags.find(([key]) => key === deviceTag)?.[1] ?? options.place;
  if (!device || [...device].length > limits.deviceIdCharacters) return undefined;

  const prefix = name.replace(/\\([,= "])/g, "$1");
  const fields = new Map<string, ReferenceField>();
  for (const [, rawKey = "", raw = ""] of fieldList.matchAll(new RegExp(`(?:,|^)(${fieldName})=(${value})`, "g"))) {
    const key = rawKey.replace(/\\([,= "])/g, "$1");
    const type = key === "value" ? prefix : `${prefix}_${key}`;
    const read = readValue(raw);
    if (!read || [...type].length > limits.eventTypeCharacters) return undefined;
    fields.set(key, { type, ...read });
  }
  if (time !== undefined && time.replace(/^-?0*(?=\d)/, "").length > 19) return undefined;
  return {
    line,
    device,
    tags: tags.filter(([key]) => key !== "device_id" || deviceTag !== "device_id"),
    fields: [...fields.values()],
    timeMs: time === undefined ? null : toMilliseconds(BigInt(time), options.precision),
  };
}

function readValue(raw: string): { value: number | null; text: string | null } | undefined {
  if (raw.startsWith('"')) {
    const text = raw.slice(1, -1).replace(/\\(["\\])/g, "$1");
    return Buffer.byteLength(text) > limits.valueStringBytes ? undefined : { value: null, text };
  }
  if (/^[tT]/.test(raw)) return { value: 1, text: null };
  if (/^[fF]/.test(raw)) return { value: 0, text: null };
  if (!/[iut]$/.test(raw)) return Number.isFinite(Number(raw)) ? { value: Number(raw), text: null } : undefined;
  const whole = BigInt(raw.slice(0, -1));
  if (raw.endsWith("u") && raw.startsWith("-")) return undefined;
  if (raw.endsWith("u") ? BigInt.asUintN(64, whole) !== whole : BigInt.asIntN(64, whole) !== whole) return undefined;
  const isExact = whole <= BigInt(Number.MAX_SAFE_INTEGER) && whole >= BigInt(Number.MIN_SAFE_INTEGER);
  const value = Number(whole);
  return { value, text: isExact ? null : String(whole) };
}

function toMilliseconds(time: bigint, precision: ReferenceOptions["precision"]): number {
  const nanoseconds = { ns: 1n, us: 1_000n, ms: 1_000_000n, s: 10n ** 9n, m: 60n * 10n ** 9n, h: 3600n * 10n ** 9n };
  const scaled = time * nanoseconds[precision];
  const floored = scaled / 1_000_000n - (scaled < 0n && scaled % 1_000_000n !== 0n ? 1n : 0n);
  return Number(floored);
}

function firstLineEnd(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end;
}

/** Behind the line's strings when each of its quotes has a partner in the right place, else the first line end. */
function badLineEnd(text: string, start: number): number {
  const head = /(?:\\[^\n]|\\(?=\n)|\\$|[^\\ \n])*/y;
  head.lastIndex = start;
  let at = start + (head.exec(text)?.[0].length ?? 0);
  const piece =
    /(?:\\[^\n]|\\(?=\n)|\\$(?![\s\S])|[^\\\n"]|(?<!=)"|(?<==)"((?:\\[^\n]|\\(?=\n)|[^\\"])*)"(?=[, \n\r]|$(?![\s\S])))/y;
  while (at < text.length && text[at] !== "\n") {
    piece.lastIndex = at;
    const match = piece.exec(text);
    if (!match) return firstLineEnd(text, start);
    at += match[0].length;
  }
  return at;
}
