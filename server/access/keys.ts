import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** One key as an operator writes it: `name:secret`, or `name:secret:prefix` where a prefix makes sense. */
export interface KeyEntry {
  readonly name: string;
  readonly secret: string;
  /** Device ids have to start with it. */
  readonly prefix: string | null;
}

export type ParsedKeys =
  | { readonly ok: true; readonly entries: readonly KeyEntry[] }
  | { readonly ok: false; readonly reason: string };

const namePattern = /^[A-Za-z0-9._-]{1,64}$/;
/** What a header can carry, without the separators of the list. */
const secretPattern = /^[!-+\--9;-~]{1,256}$/;
const prefixMaxCharacters = 256;
const keysMax = 100_000;

/**
 * Parses a list of keys. A reason names the entry by its place, and by its name only once there is a sound secret beside it:
 * what stands first in an entry without one may be the secret itself, its name forgotten or put behind it.
 *
 * @param form `list`: separated by commas; `file`: one a line, `#` begins a comment line.
 */
export function parseKeys(text: string, form: "list" | "file", allowPrefix: boolean): ParsedKeys {
  const entries: KeyEntry[] = [];
  const names = new Set<string>();
  const secrets = new Set<string>();
  const pieces = form === "list" ? text.split(",") : text.split(/\r?\n/);
  for (const [index, piece] of pieces.entries()) {
    const trimmed = piece.trim();
    if (form === "file" && (trimmed === "" || trimmed.startsWith("#"))) continue;
    const place = `${form === "list" ? "key" : "line"} ${index + 1}`;
    const [name = "", secret = "", ...rest] = trimmed.split(":");
    if (!namePattern.test(name))
      return refuse(`${place}: a name has 1 to 64 letters, digits, dots, dashes or underscores`);
    if (!secretPattern.test(secret)) {
      return refuse(
        `${place} must be name:secret; a secret has 1 to 256 printable ASCII characters without space, comma and colon`,
      );
    }
    const whose = `${place} (${name})`;
    if (rest.length > 0 && !allowPrefix) return refuse(`${whose} must be name:secret`);
    const prefix = rest.length === 0 ? null : rest.join(":");
    if (prefix !== null && (prefix === "" || prefix.length > prefixMaxCharacters)) {
      return refuse(`${whose}: a device prefix has 1 to ${prefixMaxCharacters} characters`);
    }
    if (names.has(name)) return refuse(`${whose}: the name is there twice`);
    if (secrets.has(secret)) return refuse(`${whose}: another key has the same secret`);
    names.add(name);
    secrets.add(secret);
    entries.push({ name, secret, prefix });
    if (entries.length > keysMax) return refuse(`more than ${keysMax} keys`);
  }
  return entries.length === 0 ? refuse("there is no key in it") : { ok: true, entries };
}

const refuse = (reason: string): ParsedKeys => ({ ok: false, reason });

interface Held<T> {
  readonly name: string;
  readonly digest: Uint8Array;
  readonly value: T;
}

/**
 * Finds what belongs to a presented secret. Secrets are not kept, only their SHA-256, salted anew in every process: digests
 * cannot be looked up elsewhere, and since nobody outside can predict one, the time of a lookup tells nothing. 0.3 µs a
 * lookup, so there is no cache that would have to keep presented secrets in the clear.
 */
export class KeyRing<T> {
  readonly #salt = randomBytes(32).toString("base64");
  readonly #scratch = new Uint8Array(32);
  readonly #scratchWord = new Uint32Array(this.#scratch.buffer, 0, 1);
  #held: Map<number, Held<T>[]> = new Map();
  #names: Map<string, T> = new Map();

  /** Replaces every key at once. */
  replace(entries: readonly KeyEntry[], createValue: (entry: KeyEntry) => T): void {
    const held = new Map<number, Held<T>[]>();
    const names = new Map<string, T>();
    for (const entry of entries) {
      const value = createValue(entry);
      const word = this.#hash(entry.secret);
      const list = held.get(word) ?? [];
      list.push({ name: entry.name, digest: this.#scratch.slice(), value });
      held.set(word, list);
      names.set(entry.name, value);
    }
    this.#held = held;
    this.#names = names;
  }

  get size(): number {
    return this.#names.size;
  }

  /** `presented`: the secret, or `name:secret`. */
  find(presented: string): T | undefined {
    if (presented.length > 512) return undefined;
    const colon = presented.indexOf(":");
    const candidates = this.#held.get(this.#hash(colon === -1 ? presented : presented.slice(colon + 1)));
    if (candidates === undefined) return undefined;
    for (const { name, digest, value } of candidates) {
      if (timingSafeEqual(digest, this.#scratch) && (colon === -1 || presented.slice(0, colon) === name)) return value;
    }
    return undefined;
  }

  named(name: string): T | undefined {
    return this.#names.get(name);
  }

  /** Leaves the digest in `#scratch`; gives its first word. */
  #hash(secret: string): number {
    Bun.SHA256.hash(this.#salt + secret, this.#scratch);
    return this.#scratchWord[0] as number;
  }
}

/** Changes when the secret does; tells nothing about it without `fingerprintKey`. */
export function fingerprint(fingerprintKey: Uint8Array, entry: KeyEntry): string {
  const text = `${entry.name}\0${entry.secret}`;
  return createHmac("sha256", fingerprintKey).update(text).digest("base64url").slice(0, 22);
}
