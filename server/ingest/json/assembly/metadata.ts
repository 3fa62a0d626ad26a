import { metadataAt } from "./layout";
import { isDigit } from "./number";
import { skipSpace } from "./space";
import { isSame, putText, quote, textEnd } from "./text";

const keysMax: i32 = 64;
/** Of each key of the object: where it begins and ends. */
const keysAt: usize = memory.data(8 * keysMax, 8);

/** What `readMetadata` has read: pairs, written at `metadataAt` as a row has them, up to `metadataEnd`. */
export let metadataKeys: i32 = 0;
export let metadataEnd: usize = metadataAt;

export function clearMetadata(): void {
  metadataKeys = 0;
  metadataEnd = metadataAt;
}

/** Whether the key is there already; which of two counts is for an object to say. */
function isRepeated(start: usize, bytes: usize, keys: i32): bool {
  for (let key: i32 = 0; key < keys; key++) {
    const place = keysAt + ((<usize>key) << 3);
    const other = load<u32>(place);
    if (load<u32>(place, 4) - other === <u32>bytes && isSame(start, other, bytes)) return true;
  }
  return false;
}

/** An object of strings at `at`, without escapes. Gives where it ends; 0: not for this to read. */
export function readMetadata(at: usize): usize {
  if (load<u8>(at) !== 123) return 0;
  at = skipSpace(at + 1);
  if (load<u8>(at) === 125) return at + 1;
  let out = metadataAt;
  for (let keys: i32 = 0; keys < keysMax; ) {
    if (load<u8>(at) !== quote) return 0;
    const keyStart = at + 1;
    const keyEnd = textEnd(keyStart);
    // An object lists keys like "7" first; in which order is not for this to imitate.
    if (keyEnd === 0 || isDigit(load<u8>(keyStart)) || isRepeated(keyStart, keyEnd - keyStart, keys)) return 0;
    at = skipSpace(keyEnd + 1);
    if (load<u8>(at) !== 58) return 0;
    at = skipSpace(at + 1);
    if (load<u8>(at) !== quote) return 0;
    const start = at + 1;
    const end = textEnd(start);
    if (end === 0) return 0;
    const place = keysAt + ((<usize>keys) << 3);
    store<u32>(place, <u32>keyStart);
    store<u32>(place, <u32>keyEnd, 4);
    out = putText(out, keyStart, keyEnd - keyStart);
    out = putText(out, start, end - start);
    keys++;
    at = skipSpace(end + 1);
    const byte = load<u8>(at);
    if (byte === 125) {
      metadataKeys = keys;
      metadataEnd = out;
      return at + 1;
    }
    if (byte !== 44) return 0;
    at = skipSpace(at + 1);
  }
  return 0;
}
