import { hashOf, isSame } from "./line-bytes.ts";

/** What a point's fields are, by their order in the line; of one that is there twice the last counts. */
export class Fields {
  count = 0;
  keyStart = new Int32Array(16);
  keyEnd = new Int32Array(16);
  keyHash = new Int32Array(16);
  textStart = new Int32Array(16);
  textEnd = new Int32Array(16);
  value = new Float64Array(16);

  /** The place of the field with this key. */
  place(bytes: Uint8Array, start: number, end: number): number {
    // Of most lines there is one field, which needs no comparison.
    if (this.count === 1) this.keyHash[0] = hashOf(bytes, this.keyStart[0] as number, this.keyEnd[0] as number);
    const keyHash = this.count === 0 ? 0 : hashOf(bytes, start, end);
    for (let other = 0; other < this.count; other++) {
      if (
        this.keyHash[other] === keyHash &&
        isSame(bytes, this.keyStart[other] as number, this.keyEnd[other] as number, start, end)
      ) {
        return other;
      }
    }
    if (this.count === this.keyStart.length) this.#grow();
    this.keyStart[this.count] = start;
    this.keyEnd[this.count] = end;
    this.keyHash[this.count] = keyHash;
    return this.count++;
  }

  #grow(): void {
    for (const name of ["keyStart", "keyEnd", "keyHash", "textStart", "textEnd"] as const) {
      const grown = new Int32Array(this[name].length * 2);
      grown.set(this[name]);
      this[name] = grown;
    }
    const grown = new Float64Array(this.value.length * 2);
    grown.set(this.value);
    this.value = grown;
  }
}
