import { afterEach, describe, expect, test } from "bun:test";
import { constants, createGzip, createZstdCompress, gzipSync, zstdCompressSync } from "node:zlib";
import { Refusal } from "../http/refusal.ts";
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

/** Ten events, a line each, flushed after every line, as a device that streams would send them. */
function flushedByLine(encoding: "gzip" | "zstd"): Promise<Buffer<ArrayBuffer>> {
  const packer = encoding === "gzip" ? createGzip() : createZstdCompress();
  const flush = encoding === "gzip" ? constants.Z_SYNC_FLUSH : constants.ZSTD_e_flush;
  const chunks: Buffer[] = [];
  packer.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    packer.on("end", () => resolve(Buffer.concat(chunks)));
    let line = 0;
    const next = (): void => {
      if (line === 10) packer.end();
      else packer.write(`{"device_id":"d${line++}","event_type":"t"}\n`, () => packer.flush(flush, next));
    };
    next();
  });
}

describe.each(["gzip", "zstd"] as const)("%s", (encoding) => {
  const pack = encoding === "gzip" ? gzipSync : zstdCompressSync;
  const read = async (body: Uint8Array<ArrayBuffer>): Promise<string> => {
    const outcome = await bodies.read(post(body, { "Content-Encoding": encoding }));
    return outcome instanceof Refusal ? outcome.code : new TextDecoder().decode(outcome);
  };

  test("cut off anywhere is refused, also between two lines; only the whole is taken", async () => {
    bodies = createBodyReader({ maxBodyBytes: 100_000, timeoutMs: 60_000, inFlightMaxBytes: 2 ** 20 });
    const whole = await flushedByLine(encoding);
    expect(whole.length).toBeGreaterThan(100);
    const taken: number[] = [];
    for (let bytes = 0; bytes <= whole.length; bytes++) {
      if ((await read(whole.subarray(0, bytes))) !== "malformed_encoding") taken.push(bytes);
    }
    expect(taken).toEqual([whole.length]);
    expect((await read(whole)).split("\n")).toHaveLength(11);
  });

  test("followed by anything but another whole one is refused", async () => {
    bodies = createBodyReader({ maxBodyBytes: 100_000, timeoutMs: 60_000, inFlightMaxBytes: 2 ** 20 });
    const one = pack("[1]\n");
    const two = pack("[2]\n");
    expect(await read(Buffer.concat([one, two]))).toBe("[1]\n[2]\n");
    for (const tail of ["x", "\0", "\0\0\0\0\0\0\0\0", "\n", "garbage that is longer than a header"]) {
      expect([tail, await read(Buffer.concat([one, Buffer.from(tail)]))]).toEqual([tail, "malformed_encoding"]);
    }
    for (let bytes = 1; bytes < two.length; bytes++) {
      expect([bytes, await read(Buffer.concat([one, two.subarray(0, bytes)]))]).toEqual([bytes, "malformed_encoding"]);
    }
  });
});

test("zstd of every shape is taken: levels, checksums, sizes unknown or known, long repeats, skippable frames", async () => {
  bodies = createBodyReader({ maxBodyBytes: 4_000_000, timeoutMs: 60_000, inFlightMaxBytes: 2 ** 24 });
  const texts = [
    "",
    "x",
    "x".repeat(300_000),
    crypto.randomUUID().repeat(9),
    Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("hex"),
  ];
  for (const text of texts) {
    for (const level of [-5, 1, 3, 19]) {
      for (const checksum of [0, 1]) {
        const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: checksum };
        const packed = zstdCompressSync(text, { params });
        const skippable = Buffer.from([0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        for (const body of [packed, Buffer.concat([skippable, packed])]) {
          const outcome = await bodies.read(post(body, { "Content-Encoding": "zstd" }));
          expect(outcome instanceof Refusal ? outcome.message : new TextDecoder().decode(outcome) === text).toBe(true);
        }
      }
    }
  }
});
