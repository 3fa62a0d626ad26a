import { expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { compressed } from "./compression.ts";

const ask = (encoding?: string): Request =>
  new Request("http://localhost/", encoding === undefined ? {} : { headers: { "Accept-Encoding": encoding } });
const page = (): Response =>
  new Response("<p>text</p>".repeat(100), { headers: { "Content-Type": "text/html", ETag: 'W/"abc"' } });

test("text is compressed for a client that takes gzip, and says so", async () => {
  const response = compressed(ask("br, gzip"), page());
  expect(response.headers.get("content-encoding")).toBe("gzip");
  expect(response.headers.get("vary")).toBe("Accept-Encoding");
  expect(response.headers.get("etag")).toBe('W/"abc"');
  const bytes = await response.bytes();
  expect(bytes.length).toBeLessThan(200);
  expect(gunzipSync(bytes).toString()).toBe("<p>text</p>".repeat(100));
});

test.each([undefined, "br", "gzip;q=0", "identity"])("not for a client that says %p", (encoding) => {
  expect(compressed(ask(encoding), page()).headers.has("content-encoding")).toBe(false);
});

test("not what is compressed already, nor what has no body", () => {
  const png = new Response("x", { headers: { "Content-Type": "image/png" } });
  expect(compressed(ask("gzip"), png)).toBe(png);
  const encoded = new Response("x", { headers: { "Content-Type": "text/html", "Content-Encoding": "zstd" } });
  expect(compressed(ask("gzip"), encoded)).toBe(encoded);
  const empty = new Response(null, { status: 304, headers: { "Content-Type": "text/html" } });
  expect(compressed(ask("gzip"), empty)).toBe(empty);
});
