import { isUtf8 } from "node:buffer";
import type { Event } from "../../../contract/event.ts";
import type { TopicMatch } from "./topic-template.ts";

export type ReadPayload =
  | { readonly ok: true; readonly events: readonly unknown[] }
  | { readonly ok: false; readonly reason: string };

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const wholeNumber = /^-?\d+$/;

/**
 * The events of a message. A JSON object, or a list or lines of them, are events that lack no more than what the topic says; anything
 * else is the one value of an event that the topic names. Whether they are good events is for the schema to say.
 */
export function readPayload(payload: Uint8Array, topic: TopicMatch): ReadPayload {
  if (!isUtf8(payload)) return { ok: false, reason: "the payload is not UTF-8" };
  const text = decoder.decode(payload);
  const trimmed = text.trim();
  if (!trimmed.startsWith("{") && !trimmed.startsWith("[")) {
    return { ok: true, events: [withTopic(valueOfText(text, trimmed), topic)] };
  }
  const values = parseEvents(trimmed);
  if (values === undefined) return { ok: false, reason: "the payload begins as JSON and is none" };
  return { ok: true, events: values.map((value) => (isObject(value) ? withTopic(value, topic) : value)) };
}

/** One JSON value, or one a line. */
function parseEvents(text: string): unknown[] | undefined {
  const whole = parse(text);
  if (Array.isArray(whole)) return whole;
  if (isObject(whole)) return Array.isArray(whole.events) && Object.keys(whole).length === 1 ? whole.events : [whole];
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const values = lines.map(parse);
  return lines.length > 1 && values.every(isObject) ? values : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a bare payload is worth: a number, a truth, a text, or nothing at all. */
function valueOfText(text: string, trimmed: string): Pick<Event, "value_float" | "value_string"> {
  if (trimmed === "") return {};
  if (trimmed === "true" || trimmed === "false") return { value_float: trimmed === "true" ? 1 : 0 };
  if (!number.test(trimmed)) return { value_string: text };
  const value = Number(trimmed);
  if (!Number.isFinite(value)) return { value_string: text };
  const isExact = !wholeNumber.test(trimmed) || Number.isSafeInteger(value);
  return isExact ? { value_float: value } : { value_float: value, value_string: trimmed };
}

/** What the payload says goes before what the topic says. */
function withTopic(
  event: Record<string, unknown>,
  { deviceId, eventType, metadata }: TopicMatch,
): Record<string, unknown> {
  const own = event.metadata;
  const names = Object.keys(metadata).length > 0;
  return {
    ...(deviceId === undefined ? {} : { device_id: deviceId }),
    ...(eventType === undefined ? {} : { event_type: eventType }),
    ...event,
    ...(names && (own === undefined || isObject(own)) ? { metadata: { ...metadata, ...own } } : {}),
  };
}
