import { expect, test } from "bun:test";
import { revalidated } from "./revalidation.ts";

const ask = (ifNoneMatch?: string): Request =>
  new Request("http://localhost/", ifNoneMatch === undefined ? {} : { headers: { "If-None-Match": ifNoneMatch } });
const file = (etag: string, status = 200): Response =>
  new Response("text", { status, headers: { ETag: etag, "Cache-Control": "no-cache", "Content-Type": "text/css" } });

test.each(["rL0Y20zC+Fzt72VPzMSk2A==", '"rL0Y20zC+Fzt72VPzMSk2A=="', 'W/"rL0Y20zC+Fzt72VPzMSk2A=="'])(
  "the tag %s goes out as a weak one in quotes, and is known again",
  (etag) => {
    const first = revalidated(ask(), file(etag));
    expect(first.headers.get("etag")).toBe('W/"rL0Y20zC+Fzt72VPzMSk2A=="');
    for (const known of [first.headers.get("etag") as string, `"x", ${first.headers.get("etag")}`, etag, "*"]) {
      const second = revalidated(ask(known), file(etag));
      expect([known, second.status, second.body]).toEqual([known, 304, null]);
      expect(second.headers.get("etag")).toBe(first.headers.get("etag"));
      expect(second.headers.get("cache-control")).toBe("no-cache");
    }
  },
);

test("another tag, an answer without one, and an error are sent whole", async () => {
  expect(revalidated(ask('"b"'), file("a")).status).toBe(200);
  expect(revalidated(ask('"a"'), file("a", 404)).status).toBe(404);
  expect(await revalidated(ask("*"), new Response("text")).text()).toBe("text");
});
