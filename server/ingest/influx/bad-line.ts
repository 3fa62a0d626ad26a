import { backslash, carriageReturn, comma, equals, newline, quote, space } from "./line-bytes.ts";

/** The end of the line that begins at `start`, line ends within strings left out; undefined when quotes do not pair. */
export function quotedLineEnd(body: Uint8Array, start: number): number | undefined {
  let inFields = false;
  let inText = false;
  for (let at = start; at < body.length; at++) {
    const byte = body[at];
    if (byte === backslash && body[at + 1] !== newline) at++;
    else if (inText) {
      if (byte !== quote) continue;
      inText = false;
      const next = body[at + 1];
      if (next !== comma && next !== space && next !== newline && next !== carriageReturn && at + 1 < body.length) {
        return undefined;
      }
    } else if (byte === newline) return at;
    else if (byte === space) inFields = true;
    else if (byte === quote) inText = inFields && body[at - 1] === equals;
  }
  return inText ? undefined : body.length;
}
