import type { ScannedEvent } from "../../contract/row.ts";

const nameSlots = 2048;

/**
 * Strings of event types by their bytes: a slot a hash, the newest name in it. Making a string of bytes takes 50 to 100
 * ns, and a string that was seen before knows its own hash, which the type table's Map asks for.
 */
export class TypeNames {
  readonly #slots: ({ readonly bytes: Uint8Array; readonly name: string } | undefined)[] = new Array(nameSlots);

  nameOf({ bytes, typeStart, typeEnd, typeHash }: ScannedEvent): string {
    const at = (typeHash ^ (typeHash >>> 15)) & (nameSlots - 1);
    const known = this.#slots[at];
    if (known?.bytes.length === typeEnd - typeStart && startsAt(bytes, typeStart, known.bytes)) return known.name;
    const own = bytes.slice(typeStart, typeEnd);
    const name = decoder.decode(own);
    this.#slots[at] = { bytes: own, name };
    return name;
  }
}

// A byte order mark inside a body is a character like any other.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function startsAt(bytes: Uint8Array, start: number, text: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[start + index] !== text[index]) return false;
  return true;
}
