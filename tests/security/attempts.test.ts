import { afterAll, beforeAll, expect, test } from "bun:test";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { type Service, startService } from "../../testing/test-service.ts";
import { type RawAnswer, sendRaw } from "./raw-http.ts";

const ingestKey = "ingest-secret-0123456789";
const siteKey = "site-secret-0123456789";
const viewerKey = "viewer-secret-0123456789";

let service: Service;
let cookie: string;
beforeAll(async () => {
  service = await startService({
    INGEST_KEYS: `fleet:${ingestKey},site:${siteKey}:site-1/`,
    VIEWER_KEYS: `ops:${viewerKey}`,
    MAX_BODY_BYTES: "1MiB",
    BODY_TIMEOUT: "0.5",
    MAX_EVENTS_PER_REQUEST: "100",
  });
  const signedIn = await fetch(`${service.url}/api/session`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key: viewerKey }),
  });
  cookie = signedIn.headers.get("set-cookie")?.split(";")[0] ?? "";
  expect(cookie).toStartWith("sluice=");
});
afterAll(() => service.dispose());

interface Attempt {
  readonly name: string;
  readonly send: () => Promise<Response | RawAnswer>;
  /** Statuses that are a refusal; 0 is a closed connection. */
  readonly refused: readonly number[];
  /** What the answer must not hold. */
  readonly without?: RegExp;
}

const event = { device_id: "d", event_type: "t", value_float: 1 };
const viewer = { Authorization: `Bearer ${viewerKey}` };
const writer = { Authorization: `Bearer ${ingestKey}` };
const json = { "Content-Type": "application/json" };

const get =
  (path: string, headers: Record<string, string> = viewer): Attempt["send"] =>
  () =>
    fetch(service.url + path, { headers, redirect: "manual" });
const post =
  (body: unknown, headers: Record<string, string> = {}, path = "/ingest"): Attempt["send"] =>
  () =>
    fetch(service.url + path, {
      method: "POST",
      headers: { ...json, ...writer, ...headers },
      body: typeof body === "string" || body instanceof Uint8Array ? (body as BodyInit) : JSON.stringify(body),
    });
const raw =
  (...pieces: (string | Uint8Array)[]): Attempt["send"] =>
  () =>
    sendRaw(service.url, pieces);
const head = `Host: x\r\nX-API-Key: ${ingestKey}\r\nContent-Type: application/json\r\n`;
const deep = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
const zeros = Buffer.alloc(64 * 1024 * 1024);
/** A cookie of the right shape: the claims changed, the signature kept. */
const forged = (change: (claim: Record<string, unknown>) => void): string => {
  const [payload = "", signature = ""] = cookie.slice("sluice=".length).split(".");
  const claim = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
  change(claim);
  return `sluice=${Buffer.from(JSON.stringify(claim)).toString("base64url")}.${signature}`;
};
const withCookie =
  (make: () => string, path = "/api/devices"): Attempt["send"] =>
  () =>
    fetch(service.url + path, { headers: { Cookie: make() } });
const injections = [
  "' OR 1=1 --",
  "'; DROP TABLE telemetry_events; --",
  "{x:String}",
  "\\'",
  "1) UNION ALL SELECT name FROM system.tables --",
];
const inQuery = (path: string, name: string): Attempt[] =>
  injections.map((text) => ({
    name: `SQL in ${name} of ${path}: ${text}`,
    send: get(`${path}${path.includes("?") ? "&" : "?"}${name}=${encodeURIComponent(text)}`),
    refused: [400],
    without: /system\.|telemetry_events|Exception/,
  }));
const page = "<!doctype html>";

const attempts: Attempt[] = [
  // Nobody in particular.
  ...[
    "/api/devices",
    "/api/events",
    "/api/history",
    "/api/event-types",
    "/api/pipeline",
    "/api/devices/x",
    "/metrics",
    "/openapi",
    "/openapi/json",
    "/api/nothing",
  ].map((path): Attempt => ({ name: `${path} without a key`, send: get(path, {}), refused: [401] })),
  {
    name: "EventSource without a cookie",
    send: get("/dashboard-stream", { Accept: "text/event-stream" }),
    refused: [401],
  },
  {
    name: "posting without a key",
    send: () => fetch(`${service.url}/ingest`, { method: "POST", headers: json, body: JSON.stringify(event) }),
    refused: [401],
  },
  {
    name: "HEAD of a reading route without a key",
    send: () => fetch(`${service.url}/api/devices`, { method: "HEAD" }),
    refused: [401, 404],
  },
  {
    name: "a reading route by another method",
    send: () => fetch(`${service.url}/api/devices`, { method: "POST" }),
    refused: [401, 404, 405],
  },
  {
    name: "a key in the query",
    send: get(`/api/devices?key=${viewerKey}&access_token=${viewerKey}`, {}),
    refused: [401],
  },
  {
    name: "a key in the path's user info",
    send: raw(`GET http://ops:${viewerKey}@x/api/devices HTTP/1.1\r\nHost: x\r\n\r\n`),
    refused: [200, 400, 401],
    without: /"devices":\[/,
  },

  // The wrong key for it.
  { name: "an ingest key reads", send: get("/api/devices", writer), refused: [403] },
  { name: "an ingest key reads the metrics", send: get("/metrics", writer), refused: [403] },
  { name: "an ingest key opens the stream", send: get("/dashboard-stream", writer), refused: [403] },
  { name: "an ingest key signs in", send: post({ key: ingestKey }, {}, "/api/session"), refused: [403] },
  { name: "a viewer writes", send: post(event, viewer), refused: [403] },
  {
    name: "a viewer's cookie writes",
    send: () =>
      fetch(`${service.url}/ingest`, {
        method: "POST",
        headers: { ...json, Cookie: cookie },
        body: JSON.stringify(event),
      }),
    refused: [401],
  },
  {
    name: "a key in capitals",
    send: post(event, { Authorization: `Bearer ${ingestKey.toUpperCase()}` }),
    refused: [403],
  },
  {
    name: "a key in full-width letters",
    send: post(event, { Authorization: `Bearer ${encodeURIComponent("ｉｎｇｅｓｔ－ｓｅｃｒｅｔ")}` }),
    refused: [403],
  },
  {
    name: "the beginning of a key",
    send: post(event, { Authorization: `Bearer ${ingestKey.slice(0, -1)}` }),
    refused: [403],
  },
  { name: "a key and more", send: post(event, { Authorization: `Bearer ${ingestKey}${ingestKey}` }), refused: [403] },
  {
    name: "two keys in one header",
    send: post(event, { Authorization: `Bearer x, Bearer ${ingestKey}` }),
    refused: [403],
  },
  { name: "another key's name", send: post(event, { Authorization: `Bearer site:${ingestKey}` }), refused: [403] },
  { name: "a name of Object's", send: post(event, { Authorization: "Bearer __proto__" }), refused: [403] },
  {
    name: "a name of Object's with a colon",
    send: post(event, { Authorization: "Bearer constructor:constructor" }),
    refused: [403],
  },
  { name: "a key of 8 KB", send: post(event, { Authorization: `Bearer ${"k".repeat(8000)}` }), refused: [403] },
  {
    name: "Basic instead of Bearer",
    send: get("/api/devices", { Authorization: `Basic ${btoa(`ops:${viewerKey}`)}` }),
    refused: [401],
  },

  // Outside of a key's prefix.
  ...[
    "site-2/x",
    "site-1",
    "SITE-1/x",
    "x/site-1/",
    " site-1/x",
    "site-1\u2215x",
    "ѕite-1/x",
    "\u0000site-1/x",
    "site-1\\/x",
  ].map(
    (device): Attempt => ({
      name: `a key for site-1/ writes ${JSON.stringify(device)}`,
      send: post({ ...event, device_id: device }, { Authorization: `Bearer ${siteKey}` }),
      refused: [422],
    }),
  ),
  {
    name: "one device outside of the prefix among good ones",
    send: post([{ ...event, device_id: "site-1/a" }, event], { Authorization: `Bearer ${siteKey}` }),
    refused: [422],
  },

  // Cookies.
  {
    name: "a cookie of somebody else's name",
    send: withCookie(() => forged((claim) => Object.assign(claim, { viewer: "root" }))),
    refused: [401],
  },
  {
    name: "a cookie that lives longer",
    send: withCookie(() => forged((claim) => Object.assign(claim, { expiresMs: 9e15 }))),
    refused: [401],
  },
  { name: "a cookie without a signature", send: withCookie(() => cookie.split(".")[0] as string), refused: [401] },
  { name: "a cookie with an empty signature", send: withCookie(() => `${cookie.split(".")[0]}.`), refused: [401] },
  {
    name: "a cookie that names no algorithm",
    send: withCookie(() => `sluice=${btoa('{"alg":"none"}')}.${btoa('{"viewer":"ops"}')}.`),
    refused: [401],
  },
  {
    name: "a cookie under another name",
    send: withCookie(() => cookie.replace("sluice=", "__Host-sluice=")),
    refused: [401],
  },
  { name: "a cookie of 100 KB", send: withCookie(() => `sluice=${"a".repeat(100_000)}`), refused: [401, 431] },
  {
    name: "a hundred cookies",
    send: withCookie(() => Array.from({ length: 100 }, (_, index) => `sluice=a${index}.b`).join("; ")),
    refused: [401],
  },
  {
    name: "a cookie again after sign-out",
    async send() {
      const made = await post({ key: viewerKey }, {}, "/api/session")();
      if (!(made instanceof Response)) throw new Error("no answer");
      const mine = { Cookie: made.headers.get("set-cookie")?.split(";")[0] ?? "" };
      expect((await fetch(`${service.url}/api/devices`, { headers: mine })).status).not.toBe(401);
      await fetch(`${service.url}/api/session`, { method: "DELETE", headers: mine });
      return fetch(`${service.url}/api/devices`, { headers: mine });
    },
    refused: [401],
  },

  // Other sites.
  {
    name: "signing in from another site",
    send: post({ key: viewerKey }, { "Sec-Fetch-Site": "cross-site" }, "/api/session"),
    refused: [403],
  },
  {
    name: "signing in from another origin",
    send: post({ key: viewerKey }, { Origin: "https://evil.example" }, "/api/session"),
    refused: [403],
  },
  {
    name: "signing in from a sandboxed frame",
    send: post({ key: viewerKey }, { Origin: "null" }, "/api/session"),
    refused: [403],
  },
  {
    name: "signing in by a form",
    send: post(`key=${viewerKey}`, { "Content-Type": "application/x-www-form-urlencoded" }, "/api/session"),
    refused: [415],
  },
  {
    name: "signing in by a form of plain text",
    send: post(`{"key":"${viewerKey}"}`, { "Content-Type": "text/plain" }, "/api/session"),
    refused: [415],
  },
  {
    name: "signing out from another site",
    send: () =>
      fetch(`${service.url}/api/session`, {
        method: "DELETE",
        headers: { Cookie: cookie, "Sec-Fetch-Site": "cross-site" },
      }),
    refused: [403],
  },
  {
    name: "a preflight from another origin",
    send: () =>
      fetch(`${service.url}/api/devices`, {
        method: "OPTIONS",
        headers: { Origin: "https://evil.example", "Access-Control-Request-Method": "GET" },
      }),
    refused: [403],
  },
  {
    name: "a simple post that needs no preflight",
    send: post(JSON.stringify(event), { "Content-Type": "text/plain" }),
    refused: [415],
  },

  // Paths.
  ...[
    "/../../../../etc/passwd",
    "/assets/../../../package.json",
    "/assets/..%2f..%2f..%2fpackage.json",
    "/assets/%2e%2e/%2e%2e/server/main.ts",
    "/..%5c..%5cpackage.json",
    "/assets/....//....//package.json",
    "/%00",
    "/assets/index.html%00.js",
    "/.git/config",
    "//etc/passwd",
    "/data/access/sessions.json",
    "/.vite/../../package.json",
  ].map(
    (path): Attempt => ({
      name: `GET ${path}`,
      send: raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
      // The dashboard answers for a path it does not know; a file it is not.
      refused: [200, 400, 404],
      without: /root:x:|"dependencies"|\[core\]|signing|import /,
    }),
  ),
  ...[
    "/%61pi/devices",
    "/API/devices",
    "//api/devices",
    "/./api/devices",
    "/api//devices",
    "/x/../api/devices",
    "/api%2fdevices",
    "/metrics%20",
    "/METRICS",
    "/metrics/",
  ].map(
    (path): Attempt => ({
      name: `${path} for /api/devices or /metrics, without a key`,
      send: raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
      refused: [200, 400, 401, 404],
      without: /"devices":\[|sluice_events/,
    }),
  ),

  // SQL.
  ...inQuery("/api/history", "from"),
  ...inQuery("/api/history", "step"),
  ...inQuery("/api/devices", "sort"),
  ...inQuery("/api/devices", "status"),
  ...inQuery("/api/devices", "limit"),
  ...inQuery("/api/events", "cursor"),
  ...inQuery("/api/events", "format"),
  ...inQuery("/api/events", "to"),
  { name: "a parameter of ClickHouse's", send: get("/api/events?readonly=0"), refused: [400] },
  { name: "a parameter twice", send: get("/api/events?limit=1&limit=1000000"), refused: [400] },
  {
    name: "a cursor of another query",
    send: get(`/api/devices?cursor=${Buffer.from('["x",1,"y"]').toString("base64url")}`),
    refused: [400],
  },

  // Headers and framing.
  {
    name: "a line break in a device's id, to split an answer's headers",
    send: get("/api/devices/x%0d%0aSet-Cookie:%20a=b"),
    refused: [404, 503],
    without: /^set-cookie/im,
  },
  {
    name: "an Idempotency-Key of 129 characters",
    send: post(event, { "Idempotency-Key": "k".repeat(129) }),
    refused: [400],
  },
  {
    name: "a header of 64 KB",
    send: raw(`GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(65_536)}\r\n\r\n`),
    refused: [431],
  },
  {
    name: "a thousand headers",
    send: raw(`GET / HTTP/1.1\r\nHost: x\r\n${"a: b\r\n".repeat(1000)}\r\n`),
    refused: [431, 400],
  },
  {
    name: "a path of 64 KB",
    send: raw(`GET /${"a".repeat(65_536)} HTTP/1.1\r\nHost: x\r\n\r\n`),
    refused: [414, 431, 400],
  },
  {
    name: "two lengths",
    send: raw(`POST /ingest HTTP/1.1\r\n${head}Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}`),
    refused: [400],
  },
  {
    name: "a length and chunks (request smuggling)",
    send: raw(`POST /ingest HTTP/1.1\r\n${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
    refused: [400],
  },
  {
    name: "an unknown transfer encoding",
    send: raw(`POST /ingest HTTP/1.1\r\n${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`),
    refused: [400, 501],
  },
  {
    name: "a negative chunk",
    send: raw(`POST /ingest HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n`),
    refused: [400],
  },
  {
    name: "a negative length",
    send: raw(`POST /ingest HTTP/1.1\r\n${head}Content-Length: -1\r\n\r\n{}`),
    refused: [400],
  },
  { name: "a folded header", send: raw("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"), refused: [400] },
  { name: "a NUL in a header", send: raw("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"), refused: [400] },
  { name: "no Host", send: raw("GET / HTTP/1.1\r\n\r\n"), refused: [400] },
  {
    name: "a Host that is no host",
    send: raw(`GET /api/devices HTTP/1.1\r\nHost: %%%\r\nX-API-Key: ${viewerKey}\r\nConnection: close\r\n\r\n`),
    refused: [400],
  },
  {
    name: "TLS on a plain port",
    send: raw(Buffer.from("16030100c8010000c40303", "hex"), "\r\n\r\n"),
    refused: [0, 400, 505],
  },

  // Too much.
  {
    name: "a body over the limit, declared",
    send: raw(`POST /ingest HTTP/1.1\r\n${head}Content-Length: 99999999999\r\n\r\n`),
    refused: [413],
  },
  { name: "a body over the limit, in chunks", send: post(new Uint8Array(2 ** 21).fill(32)), refused: [413] },
  {
    name: "a bomb in gzip: 64 MiB in 64 KB",
    send: post(gzipSync(zeros), { "Content-Encoding": "gzip" }),
    refused: [413],
  },
  {
    name: "a bomb in zstd: 64 MiB in 6 KB",
    send: post(zstdCompressSync(zeros), { "Content-Encoding": "zstd" }),
    refused: [413],
  },
  {
    name: "a bomb in a bomb",
    send: post(gzipSync(gzipSync(zeros)), { "Content-Encoding": "gzip, gzip" }),
    refused: [415],
  },
  {
    name: "gzip cut in half",
    send: post(gzipSync(JSON.stringify(event)).subarray(0, 20), { "Content-Encoding": "gzip" }),
    refused: [400],
  },
  { name: "brotli", send: post(brotliCompressSync(Buffer.from("{}")), { "Content-Encoding": "br" }), refused: [415] },
  { name: "101 events", send: post(Array.from({ length: 101 }, () => event)), refused: [413] },
  {
    // Each was once looked at for the place of its mistake, whatever their number: two and a half minutes for 16 MiB.
    name: "half a million bad lines, to be skipped",
    send: post("x\n".repeat(500_000), { "Content-Type": "application/x-ndjson" }, "/ingest?on_error=skip"),
    refused: [413],
  },
  { name: "an array 100,000 deep", send: post(deep(100_000)), refused: [400, 422] },
  { name: "an array 400,000 deep, never closed", send: post("[".repeat(400_000)), refused: [400] },
  {
    name: "an object 50,000 deep in metadata",
    send: post(`{"device_id":"d","event_type":"t","metadata":${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}}`),
    refused: [400, 422],
  },
  {
    name: "65 keys of metadata",
    send: post({
      ...event,
      metadata: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, "v"])),
    }),
    refused: [422],
  },
  { name: "an id of 257 characters", send: post({ ...event, device_id: "d".repeat(257) }), refused: [422] },
  { name: "an id of 256 emoji", send: post({ ...event, device_id: "😀".repeat(257) }), refused: [422] },
  { name: "65 KiB of text", send: post({ ...event, value_string: "é".repeat(33 * 1024) }), refused: [422] },
  {
    name: "a number of 100,000 digits",
    send: post(`{"device_id":"d","event_type":"t","value_float":${"9".repeat(100_000)}}`),
    refused: [422],
  },

  // Too slow.
  {
    name: "a body that does not come",
    send: () => sendRaw(service.url, [`POST /ingest HTTP/1.1\r\n${head}Content-Length: 100\r\n\r\n{`]),
    refused: [408],
  },
  {
    name: "a body a byte at a time",
    send: () =>
      sendRaw(
        service.url,
        [`POST /ingest HTTP/1.1\r\n${head}Content-Length: 100\r\n\r\n`, ..."{{{{{{{{{{{{{{{{{{{{{{{{{{"],
        100,
      ),
    refused: [408],
  },
  {
    name: "chunks a byte at a time",
    send: () =>
      sendRaw(
        service.url,
        [
          `POST /ingest HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n`,
          ...Array.from({ length: 26 }, () => "1\r\n{\r\n"),
        ],
        100,
      ),
    refused: [408],
  },

  // Text that is not what it seems.
  { name: "a lone surrogate in an id", send: post('{"device_id":"\\ud800","event_type":"t"}'), refused: [422] },
  {
    name: "overlong UTF-8",
    send: post(
      Buffer.concat([Buffer.from('{"device_id":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('","event_type":"t"}')]),
    ),
    refused: [400],
  },
  { name: "UTF-16", send: post(Buffer.from(JSON.stringify(event), "utf16le")), refused: [400] },
  {
    name: "__proto__ as a field",
    send: post('{"device_id":"d","event_type":"t","__proto__":{"admin":true}}'),
    refused: [422],
  },
  {
    name: "constructor.prototype as a field",
    send: post('{"device_id":"d","event_type":"t","constructor":{"prototype":{"admin":true}}}'),
    refused: [422],
  },
  { name: "__proto__ beside events", send: post('{"events":[],"__proto__":{"x":1}}'), refused: [422] },
  { name: "an unknown field", send: post({ ...event, admin: true }), refused: [422] },
  { name: "a number in an array", send: post({ ...event, value_float: [1] }), refused: [422] },
  { name: "1e999", send: post('{"device_id":"d","event_type":"t","value_float":1e999}'), refused: [422] },
  { name: "NaN", send: post('{"device_id":"d","event_type":"t","value_float":NaN}'), refused: [400] },
  { name: "a time of the year 275760", send: post({ ...event, timestamp: 8.64e15 }), refused: [422] },
  { name: "a time before the beginning", send: post({ ...event, timestamp: -1 }), refused: [422] },
  { name: "two JSON texts", send: post(`${JSON.stringify(event)}${JSON.stringify(event)}`), refused: [400] },
  { name: "a comment in JSON", send: post(`/* */${JSON.stringify(event)}`), refused: [400] },
];

test("there are at least sixty attempts, each of its own kind", () => {
  expect(new Set(attempts.map((attempt) => attempt.name)).size).toBe(attempts.length);
  expect(attempts.length).toBeGreaterThan(100);
});

test.each(attempts.map((attempt): [string, Attempt] => [attempt.name, attempt]))("refused: %s", async (_, attempt) => {
  const answer = await attempt.send();
  const body = answer instanceof Response ? await answer.text() : answer.body;
  const headers = answer instanceof Response ? JSON.stringify([...answer.headers]) : answer.head;
  expect(attempt.refused).toContain(answer.status);
  if (answer.status === 200) expect(body).toContain(page);
  expect(body).not.toMatch(/node_modules|\.ts:\d|DB::Exception|\/tmp\//);
  if (attempt.without) expect(`${headers}\n${body}`).not.toMatch(attempt.without);
  expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
});

test("after all of it the service works, has stored nothing of it and is nobody else's", async () => {
  const stored = await service.ingest({ ...event, device_id: "after" }, { headers: writer, query: "?wait=stored" });
  expect(stored.status).toBe(200);
  const devices = await service.sql<{ device_id: string }>("SELECT DISTINCT device_id FROM telemetry_events");
  expect(devices).toEqual([{ device_id: "after" }]);
  const session = await fetch(`${service.url}/api/session`, { headers: { Cookie: cookie } });
  expect(await session.json()).toEqual({ required: true, viewer: "ops", editor: false });
  expect(({} as Record<string, unknown>).admin).toBeUndefined();
  const log = service.log();
  expect(log).not.toContain('"level":"error"');
  for (const secret of [ingestKey, siteKey, viewerKey, cookie]) expect(log).not.toContain(secret);
});
