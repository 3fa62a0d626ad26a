/** What a short answer is made of, for a listener that writes it as it is. */
export interface Plain {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/**
 * A `Response` that remembers what it was made of, as long as nobody asks for its headers, which they might change. A listener of
 * ours then writes it without reading it back.
 */
export class PlainResponse extends Response {
  #plain: Plain | null;

  constructor(text: string, status: number, contentType: string) {
    super(text, { status, headers: { "Content-Type": contentType } });
    this.#plain = { status, contentType, text };
  }

  get plain(): Plain | null {
    return this.#plain;
  }

  override get headers(): Headers {
    this.#plain = null;
    return super.headers;
  }
}
