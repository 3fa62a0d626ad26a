import type { ErrorCode } from "../../contract/error.ts";

export type JsonBody =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

/** The JSON of a request's body, of at most `maxBytes`, whatever the length that it announces, or does not. */
export async function readJson(request: Request, maxBytes: number): Promise<JsonBody> {
  // A page of another site can have a form sent here, but not as JSON.
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? "")) {
    return { ok: false, code: "unsupported_media_type", message: "Content-Type must be application/json" };
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      return { ok: false, code: "body_too_large", message: `the body must be at most ${maxBytes} bytes` };
    }
    chunks.push(chunk);
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, code: "malformed_json", message: "the body is not JSON" };
    if (error instanceof TypeError) return { ok: false, code: "malformed_encoding", message: "the body is not UTF-8" };
    throw error;
  }
}
