import { afterEach, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import type { Refusal } from "../http/refusal.ts";
import { type BodyReader, createBodyReader } from "./request-body.ts";

let bodies: BodyReader;
afterEach(() => bodies.stop());

const post = (body: BodyInit, headers: Record<string, string> = {}): Request =>
  new Request("http://localhost/ingest", {
    method: "POST",
    body,
    headers: { "Content-Type": "application/json", ...headers },
  });

const isTaken = (body: Uint8Array | Refusal): boolean => body instanceof Uint8Array;

/** A body that sends `bytes` and then nothing until `finish` is called. */
function held(bytes: number): { body: ReadableStream<Uint8Array>; finish: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(new Uint8Array(bytes).fill(32));
      await promise;
      controller.close();
    },
  });
  return { body, finish: resolve };
}

describe("bodies on their way", () => {
  test("are bounded all together, and what is over gets 503 while the others go on", async () => {
    bodies = createBodyReader({ maxBodyBytes: 1000, timeoutMs: 60_000, inFlightMaxBytes: 2000 });
    const first = held(900);
    const second = held(900);
    const reading = [bodies.read(post(first.body)), bodies.read(post(second.body))];
    // Lets both be counted before the third comes.
    await new Promise((resolve) => setImmediate(resolve));
    expect(await bodies.read(post(held(900).body))).toMatchObject({ code: "overloaded" });
    expect(await bodies.read(post("x", { "Content-Length": "900" }))).toMatchObject({ code: "overloaded" });
    first.finish();
    second.finish();
    expect((await Promise.all(reading)).map(isTaken)).toEqual([true, true]);
    expect(isTaken(await bodies.read(post("{}", { "Content-Length": "900" })))).toBe(true);
  });

  test("give their bytes back when they end badly, too", async () => {
    bodies = createBodyReader({ maxBodyBytes: 1000, timeoutMs: 60_000, inFlightMaxBytes: 1000 });
    for (let request = 0; request < 20; request++) {
      expect(
        isTaken(await bodies.read(post("not gzip", { "Content-Encoding": "gzip", "Content-Length": "600" }))),
      ).toBe(false);
    }
    expect(isTaken(await bodies.read(post("{}", { "Content-Length": "1000" })))).toBe(true);
  });

  test("more packed bodies than are unpacked at once are all unpacked in the end", async () => {
    bodies = createBodyReader({ maxBodyBytes: 10_000, timeoutMs: 60_000, inFlightMaxBytes: 2 ** 20 });
    const packed = gzipSync(JSON.stringify({ events: [] }));
    const all = await Promise.all(
      Array.from({ length: 50 }, () => bodies.read(post(packed, { "Content-Encoding": "gzip" }))),
    );
    expect(all.map((body) => body instanceof Uint8Array && new TextDecoder().decode(body))).toEqual(
      Array.from({ length: 50 }, () => '{"events":[]}'),
    );
  });
});

test.each(["", " ", "identity", "IDENTITY"])(
  "a Content-Encoding of %j means that the body is as it is",
  async (encoding) => {
    bodies = createBodyReader({ maxBodyBytes: 1000, timeoutMs: 60_000, inFlightMaxBytes: 2000 });
    const body = await bodies.read(post("{}", { "Content-Encoding": encoding }));
    expect(body).toEqual(new TextEncoder().encode("{}"));
  },
);

test("a body that could never be on its way is too large, not bad luck, however its length is told", async () => {
  bodies = createBodyReader({ maxBodyBytes: 4000, timeoutMs: 60_000, inFlightMaxBytes: 2000 });
  for (const body of [post("x", { "Content-Length": "2001" }), post(held(2001).body)]) {
    const refused = await bodies.read(body);
    expect(refused).toMatchObject({ code: "body_too_large" });
    expect(JSON.stringify(refused)).toContain("MAX_INFLIGHT_BYTES");
  }
});
