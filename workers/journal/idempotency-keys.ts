import type { KeyRecord } from "./journal.ts";

/** How long the same Idempotency-Key gets the same answer. */
export const keyLifeMs = 3_600_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One line of a frame's meta. */
export function encodeKey(record: KeyRecord): Uint8Array {
  return encoder.encode(`${JSON.stringify(record)}\n`);
}

/** The records in a frame's meta; a line that is none is left out, so that no file can stop a start. */
export function decodeKeys(meta: Uint8Array): KeyRecord[] {
  return decoder.decode(meta).split("\n").flatMap(parseKey);
}

function parseKey(line: string): KeyRecord[] {
  if (line === "") return [];
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return [];
  }
  if (typeof value !== "object" || value === null) return [];
  if (!("key" in value && "atMs" in value && "answer" in value)) return [];
  const { key, atMs, answer } = value;
  return typeof key === "string" && typeof atMs === "number" && typeof answer === "string"
    ? [{ key, atMs, answer }]
    : [];
}

/** Keys by name, each with its newest answer; what is older than their life does not get in. */
export class KeyMemory {
  readonly #records = new Map<string, KeyRecord>();
  readonly #oldestMs: number;

  constructor(nowMs: number) {
    this.#oldestMs = nowMs - keyLifeMs;
  }

  /** Answers when the newest of them, expired or not, was recorded; 0 for none. */
  add(meta: Uint8Array): number {
    let newestMs = 0;
    for (const record of decodeKeys(meta)) {
      newestMs = Math.max(newestMs, record.atMs);
      if (record.atMs <= this.#oldestMs) continue;
      const known = this.#records.get(record.key);
      if (known === undefined || known.atMs <= record.atMs) this.#records.set(record.key, record);
    }
    return newestMs;
  }

  get records(): KeyRecord[] {
    return [...this.#records.values()];
  }
}
