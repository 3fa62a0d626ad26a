import { isUtf8 } from "node:buffer";
import { promisify } from "node:util";
import { gunzip, zstdDecompress } from "node:zlib";
import type { ErrorCode } from "../contract/error.ts";

export interface BodyOptions {
  readonly maxBodyBytes: number;
  readonly timeoutMs: number;
}

export type BodyText =
  | { readonly ok: true; readonly text: string; readonly ndjson: boolean }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

const refuse = (code: ErrorCode, message: string): BodyText => ({ ok: false, code, message });
const decompressors = { gzip: promisify(gunzip), zstd: promisify(zstdDecompress) };
const decoder = new TextDecoder();

/**
 * Reads a request's body as text, in bounded memory: what says it is too large is refused unread, what turns out to be is
 * cut off, and decompression stops at the limit. Names the media type and the encoding that it does not know.
 */
export async function readBody(request: Request, options: BodyOptions): Promise<BodyText> {
  const { headers } = request;
  const mediaType = headers.get("content-type");
  const ndjson = mediaType !== null && isMediaType(mediaType, "application/x-ndjson");
  if (!ndjson && (mediaType === null || !isMediaType(mediaType, "application/json"))) {
    return refuse(
      "unsupported_media_type",
      `Content-Type: ${mediaType ?? "(none)"}: allowed is application/json or application/x-ndjson`,
    );
  }
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity" && encoding !== "gzip" && encoding !== "zstd") {
    return refuse("unsupported_encoding", `Content-Encoding: ${encoding}: allowed is gzip or zstd`);
  }
  const tooLarge = refuse("body_too_large", `the body is over ${options.maxBodyBytes} bytes (MAX_BODY_BYTES)`);
  const declared = headers.get("content-length");
  if (declared !== null && Number(declared) > options.maxBodyBytes) return tooLarge;

  const raw = await receive(request, declared !== null, options);
  if (raw === "too_large") return tooLarge;
  if (raw === "timeout") {
    return refuse("request_timeout", `the body did not arrive within ${options.timeoutMs / 1000} s (BODY_TIMEOUT)`);
  }
  if (raw === "gone") return refuse("malformed_request", "the body ended early");

  let bytes = raw;
  if (encoding !== "identity") {
    try {
      bytes = await decompressors[encoding](raw, { maxOutputLength: options.maxBodyBytes });
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") return tooLarge;
      return refuse("malformed_encoding", `the body is not ${encoding}`);
    }
  }
  if (!isUtf8(bytes)) return refuse("malformed_encoding", "the body is not UTF-8");
  return { ok: true, text: decoder.decode(bytes), ndjson };
}

function isMediaType(header: string, type: string): boolean {
  if (header === type) return true;
  const [given, ...parameters] = header.toLowerCase().split(";");
  if (given?.trim() !== type) return false;
  return parameters.every((parameter) => {
    const [name, value] = parameter.split("=");
    return name?.trim() !== "charset" || value?.trim().replaceAll('"', "") === "utf-8";
  });
}

type Received = Uint8Array | "too_large" | "timeout" | "gone";

async function receive(request: Request, lengthDeclared: boolean, options: BodyOptions): Promise<Received> {
  const late = Promise.withResolvers<"timeout">();
  const timer = setTimeout(() => late.resolve("timeout"), options.timeoutMs);
  try {
    // With a declared length Bun gathers the body natively; without one it has to be counted as it comes.
    const whole = lengthDeclared ? request.bytes() : gather(request, options.maxBodyBytes);
    return await Promise.race([whole, late.promise]);
  } catch (error) {
    if (error instanceof Error) return "gone";
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function gather(request: Request, maxBytes: number): Promise<Uint8Array | "too_large"> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > maxBytes) return "too_large";
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
