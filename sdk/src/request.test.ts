import { afterEach, expect, test } from "bun:test";
import { type IngestStub, type StubAnswer, startIngestStub } from "../../testing/ingest-stub.ts";
import { backoffMs, createPost, parseRetryAfter, type RequestBatch } from "./request.ts";

const stubs: IngestStub[] = [];
afterEach(async () => {
  for (const stub of stubs.splice(0)) await stub.stop();
});

async function stub(script: readonly StubAnswer[]): Promise<IngestStub> {
  const started = await startIngestStub(script);
  stubs.push(started);
  return started;
}

function batch(key: string): RequestBatch {
  const events = [0, 1].map((index) => ({ device_id: key, event_type: "t", value_float: index }));
  return { idempotencyKey: key, body: JSON.stringify({ events }), eventCount: 2 };
}
const postTo = (url: string, key = "") => createPost({ url, key, timeoutMs: 10_000, now: () => 0 });
const post = async (script: readonly StubAnswer[]) => await postTo((await stub(script)).url)(batch("k"));

test("each answer of the service is what INTERFACE says it is", async () => {
  const error = JSON.stringify({ error: { code: "c", message: "m" } });
  expect(await post(["accept"])).toEqual({ kind: "acknowledged", refused: 0, faults: [] });
  expect(await post([{ status: 503, headers: { "Retry-After": "2" }, body: error }])).toEqual({
    kind: "refused",
    status: 503,
    retryAfterMs: 2000,
    message: "c: m",
  });
  expect(await post([{ status: 429, body: "busy" }])).toMatchObject({
    kind: "refused",
    retryAfterMs: 0,
    message: "busy",
  });
  for (const status of [400, 401, 403, 413, 415, 422]) {
    expect(await post([{ status, body: error }])).toEqual({
      kind: "rejected",
      status,
      message: "c: m",
      bySluice: true,
    });
  }
  expect(await post(["drop"])).toMatchObject({ kind: "unreachable" });
});

test("a 2xx that is not Sluice's own, or of another count, is no acknowledgement", async () => {
  for (const body of ["<html>", "{}", JSON.stringify({ status: "queued", event_count: 1 })]) {
    expect(await post([{ status: 200, body }])).toMatchObject({ kind: "rejected", status: 200, bySluice: false });
  }
  expect(await post([{ status: 413, body: "<html>" }])).toMatchObject({ kind: "rejected", bySluice: false });
});

test("the key travels as bearer, and not at all when there is none", async () => {
  const service = await stub([]);
  await postTo(service.url)(batch("a"));
  await postTo(service.url, "secret")(batch("b"));
  expect(service.authorizations).toEqual([undefined, "Bearer secret"]);
});

test("Retry-After is seconds or a date, bounded, and nothing when it is neither", () => {
  const nowMs = Date.UTC(2026, 0, 1);
  const date = new Date(nowMs + 5000).toUTCString();
  expect(
    ["3", date, "99999999", "soon", "0", new Date(0).toUTCString()].map((text) => parseRetryAfter(text, nowMs)),
  ).toEqual([3000, 5000, 600_000, 0, 0, 0]);
  expect(parseRetryAfter(null, nowMs)).toBe(0);
});

test("backoff is anywhere below a ceiling that doubles up to its limit, and never less than Retry-After", () => {
  expect([0, 1, 2, 5, 6, 1_000_000].map((attempt) => backoffMs(attempt, 0, 5_000, () => 1))).toEqual([
    100, 200, 400, 3200, 5000, 5000,
  ]);
  expect(backoffMs(3, 0, 5_000, () => 0)).toBe(0);
  expect(backoffMs(3, 2000, 5_000, () => 0.5)).toBe(2400);
});

test("a request ends when it has taken too long, or when it is given up", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Promise<Response>(() => undefined) });
  const slow = createPost({ url: server.url.origin, key: "", timeoutMs: 20, now: () => 0 });
  expect(await slow(batch("a"))).toEqual({ kind: "unreachable", message: "no answer within 0.02 s" });
  const patient = createPost({ url: server.url.origin, key: "", timeoutMs: 600_000, now: () => 0 });
  const abort = new AbortController();
  const answer = patient(batch("b"), abort.signal);
  abort.abort();
  expect(await answer).toMatchObject({ kind: "unreachable" });
  expect(await patient(batch("c"), abort.signal)).toMatchObject({ kind: "unreachable" });
  await server.stop(true);
});
