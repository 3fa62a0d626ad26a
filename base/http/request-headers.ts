import type { RequestHead } from "./llhttp.ts";

/**
 * The headers of a request, read from its text when one is asked for: most requests are asked for three or four of theirs. What is
 * asked more seldom is answered by real `Headers`, made then.
 */
export class RequestHeaders {
  readonly #head: RequestHead;
  #all: Headers | null = null;

  constructor(head: RequestHead) {
    this.#head = head;
  }

  /** As `Headers.get`: values of one name are joined, in their order. */
  get(name: string): string | null {
    const { text, places } = this.#head;
    const lower = name.toLowerCase();
    let found: string | null = null;
    for (let at = 0; at < places.length; at += 4) {
      const start = places[at] as number;
      if ((places[at + 1] as number) - start !== lower.length || !isName(text, start, lower)) continue;
      const value = trimmed(text, places[at + 2] as number, places[at + 3] as number);
      found = found === null ? value : `${found}${lower === "cookie" ? "; " : ", "}${value}`;
    }
    return found;
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  /** How often a name occurs. */
  count(name: string): number {
    const { text, places } = this.#head;
    let count = 0;
    for (let at = 0; at < places.length; at += 4) {
      const start = places[at] as number;
      if ((places[at + 1] as number) - start === name.length && isName(text, start, name)) count++;
    }
    return count;
  }

  entries(): IterableIterator<[string, string]> {
    return this.#headers().entries();
  }

  keys(): IterableIterator<string> {
    return this.#headers().keys();
  }

  values(): IterableIterator<string> {
    return this.#headers().values();
  }

  forEach(apply: (value: string, name: string, headers: Headers) => void): void {
    this.#headers().forEach(apply);
  }

  toJSON(): Record<string, string> {
    return Object.fromEntries(this.#headers());
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  #headers(): Headers {
    if (this.#all === null) {
      const { text, places } = this.#head;
      this.#all = new Headers();
      for (let at = 0; at < places.length; at += 4) {
        const name = text.slice(places[at], places[at + 1]);
        this.#all.append(name, trimmed(text, places[at + 2] as number, places[at + 3] as number));
      }
    }
    return this.#all;
  }
}

/** `lower` at `start`, in any case of ASCII. */
function isName(text: string, start: number, lower: string): boolean {
  for (let index = 0; index < lower.length; index++) {
    const unit = text.charCodeAt(start + index);
    const wanted = lower.charCodeAt(index);
    if (unit !== wanted && !(unit >= 65 && unit <= 90 && unit + 32 === wanted)) return false;
  }
  return true;
}

function trimmed(text: string, start: number, end: number): string {
  let last = end;
  while (last > start && isBlank(text.charCodeAt(last - 1))) last--;
  return text.slice(start, last);
}

const isBlank = (unit: number): boolean => unit === 32 || unit === 9;
