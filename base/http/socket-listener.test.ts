import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import type { Unacceptable } from "./handler.ts";
import { PlainResponse } from "./plain-response.ts";
import { createSocketListener, type SocketListener } from "./socket-listener.ts";

let listener: SocketListener;
/** What the handler was given: `METHOD path|body`. */
let handled: string[];
let bugs: unknown[];
let aborted: number;
let pulled: number;

const statuses: Readonly<Record<Unacceptable, number>> = {
  syntax: 400,
  head_too_large: 431,
  version: 505,
  host: 400,
  late: 408,
  early: 400,
  too_many_connections: 503,
};

async function answer(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const { pathname } = url;
  if (pathname === "/refuse") return new PlainResponse("no", 401, "text/plain");
  if (pathname === "/throw") throw new Error("a bug");
  if (pathname === "/unanswerable") throw "unanswerable";
  if (pathname === "/stream" || pathname === "/flood") return streamed(request, pathname === "/flood");
  if (pathname === "/begun") {
    listener.beginHead(request, "X-Progress: 1\r\n");
    await Bun.sleep(5);
    listener.beginHead(request, "X-Progress: 2\r\n");
    return new PlainResponse("late", 500, "text/plain");
  }
  if (pathname === "/parts") return new Response(parts());
  if (pathname === "/fails") return new Response(failing(url.searchParams.get("after") === "1"));
  if (pathname === "/empty") return new Response(null, { status: 204 });
  const text = await request.text();
  handled.push(`${request.method} ${pathname}|${text}|${request.headers.get("x-test") ?? ""}`);
  await Promise.resolve();
  return new PlainResponse(`got ${text}`, 202, "text/plain");
}

function streamed(request: Request, flood: boolean): Response {
  listener.timeout(request, 0);
  request.signal.addEventListener("abort", () => aborted++);
  const piece = new Uint8Array(flood ? 1 << 20 : 8).fill(97);
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(piece),
    pull(controller) {
      pulled++;
      if (flood) controller.enqueue(piece);
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

/** Three parts, none of which is there when it is first asked for. */
function parts(): ReadableStream<Uint8Array> {
  const left = ["one ", "two ", "three"];
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      await Bun.sleep(5);
      const part = left.shift();
      if (part === undefined) controller.close();
      else controller.enqueue(new TextEncoder().encode(part));
    },
  });
}

/** A body that breaks off, before its first byte or after it. */
function failing(afterFirst: boolean): ReadableStream<Uint8Array> {
  let first = afterFirst;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      await Bun.sleep(5);
      if (!first) throw new Error("the source failed");
      first = false;
      controller.enqueue(new TextEncoder().encode("some"));
    },
  });
}

beforeAll(() => {
  listener = createSocketListener(
    {
      // A body that breaks off rejects in the handler, as it does in the service's.
      fetch: (request) =>
        answer(request).catch((error) => {
          if (error === "unanswerable") throw error;
          return new PlainResponse("broken", 400, "text/plain");
        }),
      error(error) {
        if (error === "unanswerable") throw new Error("a bug in what answers bugs");
        return new Response("error", { status: 500 });
      },
      refuse: (why) => Response.json({ error: { code: why, message: "refused" } }, { status: statuses[why] }),
      onBug: (bug) => bugs.push(bug),
      isGoneWithItsEnd: ({ method }) => method === "GET",
      monotonicNow: () => performance.now(),
    },
    {
      hostname: "127.0.0.1",
      port: 0,
      connectionsMax: 50,
      headMaxBytes: 4096,
      headersMax: 20,
      headTimeoutMs: 1000,
      idleTimeoutMs: 5000,
      lingerMs: 500,
    },
  );
});
afterAll(() => listener.stop());
beforeEach(() => {
  handled = [];
  bugs = [];
  aborted = 0;
  pulled = 0;
});

interface Told {
  readonly text: string;
  readonly statuses: number[];
  /** The server ended the connection. */
  readonly ended: boolean;
}

/** Sends `pieces`, each in a segment of its own, and reads until the server ends or `statuses` answers have come. */
function talk(
  pieces: readonly (string | Uint8Array)[],
  answers: number,
  options = { halfClose: false },
): Promise<Told> {
  return new Promise((resolve) => {
    const socket = connect({ port: Number(listener.url.port), host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    let text = "";
    let ended = false;
    const told = (): Told => ({
      text,
      statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)]
        .map((match) => Number(match[1]))
        .filter((status) => status !== 100),
      ended,
    });
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(told());
    };
    const timer = setTimeout(finish, 3000);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      // A little longer: an answer too many would be seen.
      if (told().statuses.length >= answers) setTimeout(finish, 30);
    });
    socket.on("end", () => {
      ended = true;
      finish();
    });
    socket.on("error", finish);
    socket.on("connect", async () => {
      for (const piece of pieces) {
        socket.write(piece);
        if (pieces.length > 1) await new Promise((sent) => setImmediate(sent));
      }
      if (options.halfClose) socket.end();
    });
  });
}

const post = (body: string, more = ""): string =>
  `POST /a HTTP/1.1\r\nHost: localhost\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (body: string, trailers = ""): string =>
  `POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n${trailers}\r\n`;

describe("one connection", () => {
  test("answers pipelined posts one by one, in order, each once", async () => {
    const bodies = Array.from({ length: 20 }, (_, index) => `body-${index}`);
    const { statuses, text } = await talk([bodies.map((body) => post(body)).join("")], 20);
    expect(statuses).toEqual(bodies.map(() => 202));
    expect([...text.matchAll(/got (body-\d+)/g)].map((match) => match[1])).toEqual(bodies);
    expect(handled).toEqual(bodies.map((body) => `POST /a|${body}|`));
  });

  test("keeps the order of what comes while a request is being answered, in however many pieces", async () => {
    const bytes = Array.from({ length: 6 }, (_, index) => post(`body-${index}`)).join("");
    for (const size of [7, 31, 64, 101]) {
      handled = [];
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.slice(at * size, (at + 1) * size),
      );
      const { statuses, ended } = await talk(pieces, 7, { halfClose: true });
      expect([size, statuses, ended]).toEqual([size, Array(6).fill(202), true]);
      expect(handled).toEqual(Array.from({ length: 6 }, (_, index) => `POST /a|body-${index}|`));
      const cut = await talk([bytes.slice(0, -3)], 7, { halfClose: true });
      expect([cut.statuses, cut.ended]).toEqual([[202, 202, 202, 202, 202, 400], true]);
    }
  });

  test("answers a client that has half-closed, and then ends", async () => {
    const { statuses, ended } = await talk([post("x") + post("y")], 3, { halfClose: true });
    expect([statuses, ended]).toEqual([[202, 202], true]);
  });

  test.each([
    ["a line end", "\r\n", [202]],
    ["a NUL", "\0", [202, 400]],
    ["a second request that is none", "\x16\x03\x01", [202, 400]],
    ["a body that is longer than was said", "xyz", [202, 400]],
    ["HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [202, 505]],
  ])("gives a whole request its answer, whatever follows it: %s", async (_, tail, expected) => {
    const { statuses } = await talk([post("x") + tail], 3);
    expect(statuses).toEqual(expected);
    expect(handled).toEqual(["POST /a|x|"]);
  });

  test("reads the same of a request wherever it is cut in two", async () => {
    const request = `${chunked("hello", "Trailer: x\r\n")}${post("last", "X-Empty:\r\nX-Test: a  \r\n")}`;
    for (let at = 1; at < request.length; at++) {
      handled = [];
      const { statuses } = await talk([request.slice(0, at), request.slice(at)], 2);
      expect([at, statuses, handled]).toEqual([at, [202, 202], ["POST /a|hello|", "POST /a|last|a"]]);
    }
  }, 60_000);

  test("reads a request that comes byte by byte, and one of a megabyte", async () => {
    expect((await talk([...post("slow", "X-Test: b\r\n")], 1)).statuses).toEqual([202]);
    expect(handled).toEqual(["POST /a|slow|b"]);
    const large = "x".repeat(1 << 20);
    expect((await talk([post(large)], 1)).statuses).toEqual([202]);
    expect(handled[1]?.length).toBe(large.length + "POST /a||".length);
  });

  test("tells a client that waits for it to go on, once the body is wanted", async () => {
    const { text } = await talk([post("x", "Expect: 100-continue\r\n").slice(0, -1)], 1);
    expect(text).toStartWith("HTTP/1.1 100 Continue\r\n\r\n");
    const refused = await talk(
      ["POST /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"],
      1,
    );
    expect(refused.text).toStartWith("HTTP/1.1 401");
    expect(refused.ended).toBe(true);
  });

  test("goes on after an Upgrade that it does not take", async () => {
    const upgrade = post("x", "Connection: Upgrade\r\nUpgrade: h2c\r\n");
    expect((await talk([upgrade + post("y")], 2)).statuses).toEqual([202, 202]);
  });

  test("answers who is refused before the whole body has come, then ends", async () => {
    const head = "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n";
    const { statuses, ended } = await talk([head, "x".repeat(500_000), "x".repeat(500_000)], 2);
    expect([statuses, ended]).toEqual([[401], true]);
  });
});

describe("what is no request", () => {
  const host = "Host: a\r\n";
  test.each([
    ["garbage", "\0\0\0\r\n\r\n", 400],
    ["a lone line feed in the head", `GET / HTTP/1.1\r\nX: y\n${host}\r\n`, 400],
    ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
    ["two Hosts", `GET / HTTP/1.1\r\n${host}${host}\r\n`, 400],
    ["a Host that is none", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400],
    ["CONNECT", `CONNECT a:80 HTTP/1.1\r\n${host}\r\n`, 400],
    ["two lengths", `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`, 400],
    [
      "a length and chunks",
      `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ["a length below zero", `POST / HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`, 400],
    [
      "an encoding that is not the last",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ["a space before the colon", `GET / HTTP/1.1\r\n${host}X : y\r\n\r\n`, 400],
    ["a folded header", `GET / HTTP/1.1\r\n${host}X: y\r\n z\r\n\r\n`, 400],
    ["version 3", `GET / HTTP/3.0\r\n${host}\r\n`, 505],
    ["a head too long", `GET / HTTP/1.1\r\n${host}X: ${"y".repeat(5000)}\r\n\r\n`, 431],
    ["a target too long", `GET /${"y".repeat(5000)} HTTP/1.1\r\n${host}\r\n`, 431],
    ["too many headers", `GET / HTTP/1.1\r\n${host}${"X: y\r\n".repeat(30)}\r\n`, 431],
  ])("%s is refused in the one error shape, and is the end", async (_, bytes, status) => {
    const { statuses, text, ended } = await talk([bytes], 2);
    expect([statuses, ended]).toEqual([[status], true]);
    expect(text.slice(text.indexOf("\r\n\r\n") + 4)).toMatch(/^\{"error":\{"code":"[a-z_]+","message":"[^"]+"\}\}$/);
    expect(handled).toEqual([]);
  });

  test.each([
    [
      "a chunk that is longer than it says",
      "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n",
    ],
    [
      "a length of a chunk that is no number",
      "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\ng\r\n",
    ],
  ])("%s breaks the body off: the handler never sees it whole", async (_, bytes) => {
    const { statuses, ended } = await talk([bytes], 2);
    expect([statuses, ended, handled]).toEqual([[400], true, []]);
  });

  test("a body that ends with the connection is not taken as whole", async () => {
    const { statuses } = await talk([post("hello").slice(0, -1)], 2, { halfClose: true });
    expect([statuses, handled]).toEqual([[400], []]);
  });

  test("headers that do not come in time are 408; a client that says nothing is closed", async () => {
    const [slow, silent] = await Promise.all([talk(["GET / HT"], 2), talk([], 1)]);
    expect([slow.statuses, slow.ended, silent.text, silent.ended]).toEqual([[408], true, "", true]);
  });
});

describe("answers", () => {
  test("without a body, for HEAD, of unknown length, and after a bug", async () => {
    const get = (path: string, method = "GET") => `${method} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const empty = await talk([get("/empty")], 1);
    expect(empty.text).not.toContain("Content-Length");
    const head = await talk([get("/b", "HEAD") + get("/b")], 2);
    expect(head.text).toContain("Content-Length: 4\r\n\r\nHTTP/1.1 202");
    const parts = await fetch(new URL("/parts", listener.url));
    expect([parts.headers.get("transfer-encoding"), await parts.text()]).toEqual(["chunked", "one two three"]);
    expect((await talk([get("/throw")], 1)).statuses).toEqual([400]);
    const old = await talk(["GET /parts HTTP/1.0\r\n\r\n"], 2);
    expect([old.text.includes("chunked"), old.text.endsWith("one two three"), old.ended]).toEqual([false, true, true]);
  });

  test("that nobody reads are not made: a reader that stalls holds back the stream", async () => {
    const socket = connect(Number(listener.url.port), "127.0.0.1");
    socket.pause();
    socket.write("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    let before = -1;
    while (pulled !== before || pulled === 0) {
      before = pulled;
      await Bun.sleep(150);
    }
    // What the kernel buffers, and no more.
    expect(pulled).toBeLessThan(20);
    socket.destroy();
    while (aborted === 0) await Bun.sleep(10);
  });

  test("whose body fails end the connection without their end, and nothing else", async () => {
    for (const after of [0, 1]) {
      const told = await talk([`GET /fails?after=${after} HTTP/1.1\r\nHost: a\r\n\r\n`], 9);
      expect(told.text).not.toContain("0\r\n\r\n");
    }
    expect((await talk([post("x")], 1)).statuses).toEqual([202]);
  });

  test("end when the client goes", async () => {
    const stop = new AbortController();
    const response = await fetch(new URL("/stream", listener.url), { signal: stop.signal });
    await response.body?.getReader().read();
    stop.abort();
    while (aborted === 0) await Bun.sleep(10);
    expect(aborted).toBe(1);
  });

  test("whose head begins ahead of them are 200, and whole", async () => {
    const { text, statuses } = await talk(["GET /begun HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2)], 2);
    expect(statuses).toEqual([200, 200]);
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\nX-Progress: 1\r\nX-Progress: 2\r\n(?!HTTP)[\s\S]*?\r\n\r\nlateHTTP/);
  });

  test("a bug in the listener ends that connection, and is told", async () => {
    const { statuses } = await talk(["GET /unanswerable HTTP/1.1\r\nHost: a\r\n\r\n"], 1);
    expect(statuses).toEqual([]);
    expect(String(bugs)).toContain("a bug in what answers bugs");
  });

  test("say that there are too many connections", async () => {
    const sockets = Array.from({ length: 60 }, () => connect(Number(listener.url.port), "127.0.0.1"));
    const first = await Promise.race(
      sockets.map((socket) => new Promise<string>((resolve) => socket.on("data", (data) => resolve(String(data))))),
    );
    expect(first).toStartWith("HTTP/1.1 503");
    expect(first).toContain("too_many_connections");
    for (const socket of sockets) socket.destroy();
  });
});
