import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";
import { CODES, createException, type Exception } from "./exception.ts";

export type SpoolResult = { ok: true; bytes: number } | { ok: false; exception: Exception };

/**
 * Writes a body to a file, because libchdb takes binary formats from files alone. It also means that a body that is
 * cut off half-way inserts nothing. The file is read right back and removed, so it lives in the page cache.
 */
export async function spoolBody(
  path: string,
  head: Uint8Array,
  body: AsyncIterable<Uint8Array>,
  limits: { maxBytes: number; expectedBytes: number | null },
): Promise<SpoolResult> {
  const file = openSync(path, "wx", 0o600);
  let bytes = 0;
  let kept = false;
  try {
    const append = (chunk: Uint8Array) => {
      for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
      bytes += chunk.length;
    };
    append(head);
    for await (const chunk of body) {
      if (bytes + chunk.length > limits.maxBytes) {
        const text = `The body is larger than ${limits.maxBytes} bytes.`;
        return { ok: false, exception: createException(CODES.TOO_LARGE, text) };
      }
      append(chunk);
    }
    if (limits.expectedBytes !== null && bytes - head.length !== limits.expectedBytes)
      return { ok: false, exception: createException(CODES.QUERY_WAS_CANCELLED, "The body was cut off.") };
    kept = true;
    return { ok: true, bytes };
  } catch (error) {
    return { ok: false, exception: createException(CODES.UNKNOWN_EXCEPTION, `Cannot take the body in: ${error}`) };
  } finally {
    closeSync(file);
    if (!kept) unlinkSync(path);
  }
}
