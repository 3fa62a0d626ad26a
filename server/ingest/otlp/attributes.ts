import type { AnyValue, KeyValue } from "./generated/opentelemetry/proto/common/v1/common_pb.js";

/** An attribute's value as text: strings as they are, numbers and booleans in digits and words, lists and maps as JSON. */
export function textOfValue(value: AnyValue | undefined): string {
  const kind = value?.value;
  switch (kind?.case) {
    case "stringValue":
      return kind.value;
    case "boolValue":
    case "intValue":
    case "doubleValue":
      return String(kind.value);
    case "bytesValue":
      return Buffer.from(kind.value).toString("base64");
    case "arrayValue":
    case "kvlistValue":
      return JSON.stringify(plainValue(value));
    default:
      return "";
  }
}

/** What `JSON.stringify` takes. An integer that a double does not hold becomes a string, as in OTLP's own JSON. */
function plainValue(value: AnyValue | undefined): unknown {
  const kind = value?.value;
  switch (kind?.case) {
    case "intValue":
      return Number.isSafeInteger(Number(kind.value)) ? Number(kind.value) : String(kind.value);
    case "doubleValue":
      return Number.isFinite(kind.value) ? kind.value : String(kind.value);
    case "stringValue":
    case "boolValue":
      return kind.value;
    case "arrayValue":
      return kind.value.values.map(plainValue);
    case "kvlistValue":
      return Object.fromEntries(kind.value.values.map(({ key, value }) => [key, plainValue(value)]));
    case "bytesValue":
      return textOfValue(value);
    default:
      return null;
  }
}

type Level = "resource" | "scope" | "point" | "record";

/**
 * The metadata of an event, gathered from the outside in: resource, scope, point. Where an inner one has a key again with
 * another value, the outer value stays under `resource.KEY` or `scope.KEY`, so nothing is lost.
 */
export class Attributes {
  readonly #entries: Map<string, { readonly text: string; readonly level: Level }>;

  constructor(outer?: Attributes) {
    this.#entries = new Map(outer === undefined ? [] : outer.#entries);
  }

  get size(): number {
    return this.#entries.size;
  }

  addAll(level: Level, attributes: readonly KeyValue[]): this {
    for (const { key, value } of attributes) this.set(level, key, textOfValue(value));
    return this;
  }

  /** Empty text is no attribute. */
  addText(level: Level, key: string, text: string): this {
    if (text !== "") this.set(level, key, text);
    return this;
  }

  set(level: Level, key: string, text: string): this {
    const outer = this.#entries.get(key);
    if (outer !== undefined && outer.text !== text) this.#entries.set(`${outer.level}.${key}`, outer);
    this.#entries.set(key, { text, level });
    return this;
  }

  get(key: string): string | undefined {
    return this.#entries.get(key)?.text;
  }

  /** `fromEntries` defines own properties, so a key "__proto__" stays a key. */
  toMetadata(): Record<string, string> {
    return Object.fromEntries([...this.#entries].map(([key, { text }]) => [key, text]));
  }
}
