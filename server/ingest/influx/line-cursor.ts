import { backslash, carriageReturn, comma, isBlank, isSpecial, newline, plainEnd, space } from "./line-bytes.ts";

/** A place in a body of line protocol, and what every part of a line is read with. A newline stands behind the body. */
export class LineCursor {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  /** Where the body ends in `bytes`. */
  end = 0;
  /** Why the line at hand is none. */
  fault = "";

  bad(fault: string): false {
    this.fault = fault;
    return false;
  }

  skipBlanks(): void {
    while (isBlank(this.bytes[this.at])) this.at++;
  }

  byte(): number {
    return this.bytes[this.at] as number;
  }

  atFieldEnd(): boolean {
    const byte = this.byte();
    return byte === comma || byte === space || this.atLineEnd();
  }

  /** A carriage return before the line's end is part of that end. */
  atLineEnd(): boolean {
    const { bytes } = this;
    const at = this.at;
    return bytes[at] === newline || (bytes[at] === carriageReturn && bytes[at + 1] === newline);
  }

  /**
   * The end of a name or tag value that begins at `start`, unescaped where it stands; `at` is then at the special byte that
   * ended it.
   */
  name(start: number, isEscape: Uint8Array): number {
    const at = plainEnd(this.bytes, start);
    this.at = at;
    return this.bytes[at] === backslash ? this.#escapedName(at, isEscape) : at;
  }

  /** From its first backslash on. */
  #escapedName(start: number, isEscape: Uint8Array): number {
    const { bytes } = this;
    let at = start;
    let to = start;
    for (; ; at++) {
      let byte = bytes[at] as number;
      if (isSpecial[byte] !== 0) {
        if (byte !== backslash) break;
        if (isEscape[bytes[at + 1] as number] !== 0) byte = bytes[++at] as number;
      }
      bytes[to++] = byte;
    }
    this.at = at;
    return to;
  }

  skipCarriageReturn(): true {
    if (this.byte() === carriageReturn) this.at++;
    return true;
  }
}
