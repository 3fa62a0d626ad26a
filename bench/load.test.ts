import { afterEach, expect, test } from "bun:test";
import { createAnswerParser } from "./answer-parser.ts";
import { closedLoop, openLoop, type Request } from "./load.ts";

const servers: Bun.Server<undefined>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.stop(true);
});

function serve(answer: (request: globalThis.Request) => Promise<Response> | Response): number {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  servers.push(server);
  return server.port!;
}

function request(events: number, body = "x"): Request {
  const head = `POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return { bytes: Buffer.from(head + body), bodyBytes: body.length, events, valueSum: events / 4 };
}

test("counts exactly what the server answered", async () => {
  let received = 0;
  const port = serve(async (incoming) => {
    received += Number(await incoming.text());
    return new Response("ok", { status: 202 });
  });
  const load = await closedLoop({ port, requests: [request(3, "3"), request(50, "50")], connections: 5, seconds: 0.2 });
  expect(received).toBeGreaterThan(0);
  expect(load).toMatchObject({ events: received, valueSum: received / 4, failed: 0, refused: 0 });
});

test("sends a body larger than the socket's buffer whole", async () => {
  const size = 8 * 1024 * 1024;
  const lengths = new Set<number>();
  const port = serve(async (incoming) => {
    lengths.add((await incoming.arrayBuffer()).byteLength);
    return new Response("ok");
  });
  const load = await closedLoop({ port, requests: [request(1, "y".repeat(size))], connections: 2, seconds: 0.1 });
  expect(load.failed).toBe(0);
  expect([...lengths]).toEqual([size]);
});

test("a refusal is not accepted, and is not a failure", async () => {
  let calls = 0;
  const port = serve(() => new Response("", { status: ++calls % 2 ? 503 : 202 }));
  const load = await closedLoop({ port, requests: [request(1)], connections: 1, seconds: 0.2 });
  expect(load.refused + load.requests).toBe(calls);
  expect(load.refused).toBeGreaterThan(0);
  expect(load.failed).toBe(0);
});

test("any other status is a failure", async () => {
  const port = serve(() => new Response("no", { status: 500 }));
  const load = await closedLoop({ port, requests: [request(1)], connections: 1, seconds: 0.05 });
  expect(load.events).toBe(0);
  expect(load.firstFailure).toBe("answered 500");
});

test("a stall is seen in every request that was due while it lasted", async () => {
  const stallMs = 300;
  let stalled = false;
  const port = serve(async () => {
    if (!stalled) {
      stalled = true;
      await Bun.sleep(stallMs);
    }
    return new Response("ok");
  });
  const load = await openLoop({
    port,
    requests: [request(1)],
    connections: 1,
    seconds: 0.6,
    requestsPerSecond: 100,
    pacing: "timer",
  });
  // 30 of 60 requests were due during the stall. A closed loop would have sent one of them.
  expect(load.requests).toBe(60);
  expect(load.latency.summary().max_ms).toBeGreaterThanOrEqual(stallMs);
  expect(load.latency.summary().p90_ms).toBeGreaterThan(stallMs / 2);
});

test("an answer is whole when its last byte is there, however it is cut and framed", () => {
  const answers = [
    "HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 202 Accepted\r\ncontent-length:5\r\n\r\nhello",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcde0\r\n0\r\n\r\n",
  ];
  for (const answer of answers) {
    const parser = createAnswerParser();
    const status = Number(answer.slice(9, 12));
    const headEnd = answer.indexOf("\r\n\r\n") + 4;
    for (let cut = 1; cut < answer.length; cut++) {
      const seen = parser.statusIfComplete(Buffer.from(answer.slice(0, cut)));
      expect({ answer, cut, headEnd, seen }).toEqual({ answer, cut, headEnd, seen: 0 });
    }
    expect(parser.statusIfComplete(Buffer.from(answer))).toBe(status);
    expect(parser.statusIfComplete(Buffer.from(answer))).toBe(status);
  }
});
