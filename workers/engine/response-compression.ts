import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";

/** Brotli is left out: at the level the runtime streams it, it costs a hundred times what gzip does. */
export type Encoding = "gzip" | "deflate" | "zstd";

/** ClickHouse's own default level for HTTP. */
const LEVEL = 3;

/** The engine's name for a Content-Encoding; `null` when it knows none. */
export function infileCompressionOf(contentEncoding: string | null): string | null {
  const name = contentEncoding?.trim().toLowerCase() ?? "";
  if (name === "" || name === "identity") return "none";
  return ["gzip", "deflate", "br", "zstd", "xz", "lz4", "bz2", "snappy"].includes(name) ? name : null;
}

/** The body in clear; `null` for an encoding that is not known here. */
export function decompressBody(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  contentEncoding: string | null,
): AsyncIterable<Uint8Array> | null {
  const name = contentEncoding?.trim().toLowerCase() ?? "";
  if (name === "" || name === "identity") return body;
  if (name !== "gzip" && name !== "deflate" && name !== "zstd" && name !== "br") return null;
  return body.pipeThrough(new DecompressionStream(webName(name)));
}

/** In our order, not the client's: the first is the cheapest for its size. */
export function chooseEncoding(acceptEncoding: string | null): Encoding | null {
  const accepted = new Map<string, number>();
  for (const part of acceptEncoding?.toLowerCase().split(",") ?? []) {
    const [name, ...parameters] = part.split(";").map((piece) => piece.trim());
    const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    if (name !== undefined) accepted.set(name, quality === undefined ? 1 : Number(quality));
  }
  return (["zstd", "gzip", "deflate"] as const).find((name) => (accepted.get(name) ?? 0) > 0) ?? null;
}

export function compressBytes(bytes: Uint8Array, encoding: Encoding): Uint8Array<ArrayBuffer> {
  switch (encoding) {
    case "gzip":
      return gzipSync(bytes, { level: LEVEL });
    case "deflate":
      return deflateSync(bytes, { level: LEVEL });
    case "zstd":
      return zstdCompressSync(bytes);
  }
}

export function compressStream(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  encoding: Encoding,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return stream.pipeThrough(new CompressionStream(webName(encoding)));
}

/** The DOM's types know two of the names that Bun's streams take. */
const webName = (encoding: Encoding | "br"): CompressionFormat =>
  (encoding === "br" ? "brotli" : encoding) as CompressionFormat;
