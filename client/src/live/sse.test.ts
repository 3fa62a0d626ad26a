import { describe, expect, test } from "bun:test";
import { backoffMs, createSseParser, makeSse, type SseMessage, type SseState } from "./sse.ts";

function parse(chunks: string[]): { messages: SseMessage[]; retries: number[] } {
  const messages: SseMessage[] = [];
  const retries: number[] = [];
  const parser = createSseParser({ onMessage: (message) => messages.push(message), onRetry: (ms) => retries.push(ms) });
  for (const chunk of chunks) parser.feed(chunk);
  return { messages, retries };
}

describe("parser", () => {
  const text =
    ': hello\r\nretry: 300\n\nid: a-1\nevent: update\ndata: {"x":1}\ndata: two\r\n\r\ndata:no space\rid: a-2\r\revent: lost\n\n: beat\n\n';
  test("follows the standard's line ends, fields and comments", () => {
    const { messages, retries } = parse([text]);
    expect(messages).toEqual([
      { event: "update", data: '{"x":1}\ntwo', id: "a-1" },
      { event: "message", data: "no space", id: "a-2" },
    ]);
    expect(retries).toEqual([300]);
  });
  test("gives the same messages however the bytes are cut", () => {
    const whole = parse([text]).messages;
    for (let size = 1; size < 40; size++) {
      const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
        text.slice(index * size, (index + 1) * size),
      );
      expect(parse(chunks).messages, `chunks of ${size}`).toEqual(whole);
    }
  });
  test("gives up on a line that never ends rather than hold it", () => {
    const parser = createSseParser({ onMessage: () => undefined });
    expect(() => {
      for (let index = 0; index < 100; index++) parser.feed("x".repeat(200_000));
    }).toThrow("not an event stream");
  });
});

test("the wait before a retry grows, is bounded, and is never the same for a thousand dashboards", () => {
  const at = (attempt: number, random: number): number => backoffMs(attempt, 500, 8_000, () => random);
  expect(at(1, 0)).toBe(250);
  expect(at(1, 1)).toBe(500);
  expect(at(4, 1)).toBe(4_000);
  expect(at(1_000, 1)).toBe(8_000);
  expect(at(1_000, 0)).toBe(4_000);
});

/** A server in memory: each connection is a body the test writes to. */
function scripted() {
  const requests: { headers: Headers; signal: AbortSignal | null | undefined }[] = [];
  const bodies: ReadableStreamDefaultController<Uint8Array>[] = [];
  let status = 200;
  const fetchFake = async (_: string, init: RequestInit): Promise<Response> => {
    requests.push({ headers: new Headers(init.headers), signal: init.signal });
    queueMicrotask(check);
    if (status !== 200) return new Response("{}", { status });
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void bodies.push(controller) });
    init.signal?.addEventListener("abort", () => {
      try {
        bodies.at(-1)?.error(init.signal?.reason);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
    });
    return new Response(body);
  };
  const states: SseState[] = [];
  const messages: string[] = [];
  const waiters: { until: () => boolean; done: () => void }[] = [];
  const check = (): void => {
    for (const waiter of waiters.splice(0)) {
      if (waiter.until()) waiter.done();
      else waiters.push(waiter);
    }
  };
  return {
    requests,
    states,
    messages,
    fetchFake,
    write: (text: string) => bodies.at(-1)!.enqueue(new TextEncoder().encode(text)),
    close: () => bodies.at(-1)!.close(),
    refuse: (next: number) => {
      status = next;
    },
    handlers: {
      onMessage: (message: SseMessage) => {
        messages.push(message.data);
        check();
      },
      onState: (state: SseState) => {
        states.push(state);
        check();
      },
    },
    when: (until: () => boolean) =>
      new Promise<void>((done) => {
        waiters.push({ until, done });
        check();
      }),
  };
}

describe("stream", () => {
  test("resumes after the last message it saw", async () => {
    const server = scripted();
    const sse = makeSse("/s", { ...server.handlers, fetch: server.fetchFake, random: () => 0, backoffMaxMs: 2 });
    await server.when(() => server.states.length === 1);
    await Promise.resolve();
    server.write("id: e-7\ndata: one\n\n");
    await server.when(() => server.messages.length === 1);
    server.close();
    await server.when(() => server.states.some((state) => state.kind === "waiting"));
    await server.when(() => server.requests.length === 2);
    expect(server.requests[0]!.headers.get("Last-Event-ID")).toBeNull();
    expect(server.requests[1]!.headers.get("Last-Event-ID")).toBe("e-7");
    sse.stop();
  });
  test("a refusal for want of a key is not an outage: nothing is retried", async () => {
    const server = scripted();
    server.refuse(401);
    const sse = makeSse("/s", { ...server.handlers, fetch: server.fetchFake, random: () => 0, backoffMaxMs: 1 });
    await server.when(() => server.states.at(-1)?.kind === "unauthenticated");
    expect(server.requests.length).toBe(1);
    sse.stop();
  });
  test("any other refusal is retried", async () => {
    const server = scripted();
    server.refuse(503);
    const sse = makeSse("/s", { ...server.handlers, fetch: server.fetchFake, random: () => 0, backoffMaxMs: 1 });
    await server.when(() => server.states.filter((state) => state.kind === "waiting").length >= 2);
    sse.stop();
    expect(server.states.some((state) => state.kind === "open")).toBe(false);
  });
  test("a connection without a sign of life is given up, whatever TCP believes", async () => {
    const server = scripted();
    let now = 0;
    const sse = makeSse("/s", {
      ...server.handlers,
      fetch: server.fetchFake,
      now: () => now,
      silenceMaxMs: 15_000,
      backoffMaxMs: 1,
    });
    await server.when(() => server.states.length === 1);
    await Promise.resolve();
    server.write(": hello\n\n");
    await server.when(() => server.states.at(-1)?.kind === "open");
    now = 16_000;
    await server.when(() => server.states.at(-1)?.kind === "waiting");
    const last = server.states.at(-1);
    expect(last?.kind === "waiting" && last.reason).toBe("no sign of life");
    sse.stop();
  });
});
