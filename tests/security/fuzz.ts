/**
 * Throws inputs at POST /ingest and every reading route of a real service, and holds it to: no 5xx but a deliberate 503, every
 * error in the one shape and without a word about the inside, no connection left hanging, bounded memory, and what was
 * accepted reads back equal.
 *
 *   bun tests/security/fuzz.ts --inputs 1000000 --seed 1
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { parseArgs } from "node:util";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { Compile } from "typebox/compile";
import { ErrorAnswer } from "../../contract/error.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";

export interface FuzzReport {
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
  readonly statuses: Record<string, number>;
  readonly acceptedEvents: number;
  /** Resident memory of the service at each tenth of the way, in MiB. */
  readonly residentMib: number[];
  /** At most 20. */
  readonly faults: string[];
}

const ingestKey = "ingest-secret-0123456789";
const viewerKey = "viewer-secret-0123456789";
const connections = 64;
const chunkInputs = 2_000;
/** No answer at all for that long, and the service hangs. */
const stuckMs = 30_000;
const faultsMax = 20;

interface Input {
  readonly kind: "ingest" | "read" | "raw";
  readonly path: string;
  readonly init: RequestInit;
  /** Text of an ingest body, before compression; null where nobody should accept it. */
  readonly text: string | null;
  readonly bytes: Uint8Array | null;
}

// ------------------------------------------------------------------------------------------------ what is thrown

const oddText = fc.oneof(
  { weight: 6, arbitrary: fc.string({ maxLength: 24 }) },
  { weight: 4, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "__proto__",
      "constructor",
      "toString",
      "' OR 1=1 --",
      "\\'; DROP TABLE telemetry_events; --",
      "{x:String}",
      "../../etc/passwd",
      "\u0000",
      "\u202edcba",
      "e\u0301",
      "\ud83d\ude00",
      "\r\nSet-Cookie: a=b",
      "<script>alert(1)</script>",
      "%00%2e%2e%2f",
      "NaN",
      "null",
      "A".repeat(300),
    ),
  },
);
const goodId = fc
  .oneof(
    oddText,
    fc.nat(500).map((n) => `device-${n}`),
  )
  .filter((text) => text !== "");
const metadata = fc.dictionary(oddText, oddText, { maxKeys: 5 });
const nowish = fc.integer({ min: -60_000, max: 60_000 }).map((offset) => Date.now() + offset);
const goodEvent = fc.record(
  {
    device_id: goodId,
    event_type: fc
      .oneof(
        fc.nat(40).map((n) => `type-${n}`),
        oddText,
      )
      .filter((text) => text !== ""),
    value_float: fc.option(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer())),
    value_string: fc.option(oddText),
    metadata,
    timestamp: fc.oneof(
      nowish,
      nowish.map((ms) => new Date(ms).toISOString()),
    ),
  },
  { requiredKeys: ["device_id", "event_type"] },
);
const anyEvent = fc.oneof(
  { weight: 6, arbitrary: goodEvent },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        goodEvent,
        fc.constantFrom("device_id", "event_type", "value_float", "metadata", "timestamp", "more"),
        fc.jsonValue(),
      )
      .map(([event, name, value]) => ({ ...event, [name]: value })),
  },
  { weight: 1, arbitrary: fc.jsonValue() },
);
const body: fc.Arbitrary<{ text: string; ndjson: boolean }> = fc.oneof(
  { weight: 6, arbitrary: anyEvent.map((event) => ({ text: JSON.stringify(event), ndjson: false })) },
  {
    weight: 3,
    arbitrary: fc
      .array(anyEvent, { maxLength: 8 })
      .map((events) => ({ text: JSON.stringify({ events }), ndjson: false })),
  },
  {
    weight: 2,
    arbitrary: fc
      .array(
        fc.oneof(
          { weight: 5, arbitrary: anyEvent.map((event) => JSON.stringify(event)) },
          fc.string({ maxLength: 20 }),
        ),
        {
          maxLength: 8,
        },
      )
      .map((lines) => ({ text: lines.join("\n"), ndjson: true })),
  },
  { weight: 1, arbitrary: fc.json().map((text) => ({ text, ndjson: false })) },
  {
    weight: 2,
    arbitrary: fc.tuple(goodEvent, fc.nat(), fc.string({ maxLength: 3 })).map(([event, at, put]) => {
      const text = JSON.stringify(event);
      const cut = at % text.length;
      return { text: text.slice(0, cut) + put + text.slice(cut + 1), ndjson: false };
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom("[", '{"a":', '{"events":[', "[[],", '"\\u'), fc.integer({ min: 1, max: 3_000 }))
      .map(([piece, times]) => ({ text: piece.repeat(times), ndjson: false })),
  },
);
const encoding = fc.constantFrom("identity", "identity", "identity", "identity", "gzip", "zstd");
const ingestQuery = fc.constantFrom(
  "",
  "",
  "",
  "?on_error=skip",
  "?wait=",
  "?on_error=skip&on_error=x",
  "?%",
  "?wait=stored%00",
);

const ingestInput = fc
  .tuple(body, encoding, ingestQuery, fc.nat(99))
  .map(([{ text: made, ndjson }, contentEncoding, query, dice]): Input => {
    const plain = Buffer.from(made);
    // A cut may have split a surrogate pair; what is sent is UTF-8 all the same.
    const text = plain.toString();
    const headers: Record<string, string> = {
      "Content-Type": ndjson ? "application/x-ndjson" : "application/json",
      "X-API-Key": dice === 0 ? text.replace(/[^!-~]/g, "").slice(0, 40) : ingestKey,
    };
    if (contentEncoding !== "identity") headers["Content-Encoding"] = contentEncoding;
    if (dice === 1) headers["Content-Type"] = "text/plain";
    if (dice === 2) headers["Idempotency-Key"] = "k".repeat(text.length % 200);
    const bytes =
      contentEncoding === "gzip" ? gzipSync(plain) : contentEncoding === "zstd" ? zstdCompressSync(plain) : plain;
    // Replays are not stored again; whether this was one depends on the order of arrival.
    const counted = dice === 2 && (text.length % 200) % 129 !== 0 ? `idempotent ${text}` : text;
    return {
      kind: "ingest",
      path: `/ingest${query}`,
      init: { method: "POST", headers, body: bytes },
      text: counted,
      bytes: null,
    };
  });

const brokenBytes = fc
  .tuple(
    fc.uint8Array({ maxLength: 200 }),
    fc.constantFrom("identity", "gzip", "zstd", "br", "gzip, gzip"),
    fc.boolean(),
  )
  .map(([bytes, contentEncoding, ndjson]): Input => {
    const headers = {
      "Content-Type": ndjson ? "application/x-ndjson" : "application/json; charset=utf-8",
      "Content-Encoding": contentEncoding,
      Authorization: `Bearer ${ingestKey}`,
    };
    return { kind: "ingest", path: "/ingest", init: { method: "POST", headers, body: bytes }, text: null, bytes };
  });

const parameterNames = [
  "event_type",
  "device_id",
  "from",
  "to",
  "step",
  "limit",
  "cursor",
  "format",
  "search",
  "status",
  "sort",
  "x",
];
const parameterValue = fc.oneof(
  oddText,
  fc.constantFrom(
    "",
    "0",
    "1",
    "-1",
    "1e9",
    "999999999999999999999",
    "2026-01-01",
    "2026-13-45T99:99:99Z",
    "1970-01-01T00:00:00+99:99",
  ),
  fc.integer().map(String),
  fc.base64String({ maxLength: 40 }),
);
const refusedParameters = fc.array(fc.tuple(fc.constantFrom(...parameterNames), parameterValue), {
  minLength: 2,
  maxLength: 5,
});
const readPaths = ["/api/history", "/api/event-types", "/api/devices", "/api/events"] as const;
const read = (path: string, headers: Record<string, string> = {}): Input => ({
  kind: "read",
  path,
  init: { method: "GET", headers: { Authorization: `Bearer ${viewerKey}`, ...headers } },
  text: null,
  bytes: null,
});
const readInput = fc.tuple(fc.constantFrom(...readPaths), refusedParameters).map(([path, parameters]) => {
  const query = parameters.map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`).join("&");
  return read(`${path}?${query}`);
});
/** These get past the checks and cost ClickHouse's time. */
const queryingInput = fc.oneof(
  oddText.map((text) => read(`/api/devices/${encodeURIComponent(text.toWellFormed())}`)),
  oddText.map((text) => read(`/api/devices?limit=3&search=${encodeURIComponent(text.toWellFormed())}`)),
  oddText.map((text) => read(`/api/events?limit=3&device_id=${encodeURIComponent(text.toWellFormed())}`)),
  oddText.map((text) => read(`/api/history?event_type=${encodeURIComponent(text.toWellFormed())}&step=60`)),
  fc.constant(read("/api/pipeline")),
);
const otherInput = fc.oneof(
  oddText.map((text) => read(`/${encodeURIComponent(text.toWellFormed())}`)),
  fc.webPath().map((path) => read(path === "" ? "/" : path)),
  fc
    .constantFrom("/healthz", "/readyz", "/metrics", "/openapi", "/openapi/json", "/api/", "/api/session", "/assets/x")
    .map((path) => read(path)),
  oddText.map((text) => read("/api/session", { Cookie: `sluice=${text.replace(/[^!-~]/g, "")}`, Authorization: "" })),
);
const rawInput = fc
  .tuple(
    fc.constantFrom("GET /api/devices HTTP/1.1\r\n", "POST /ingest HTTP/1.1\r\n", "GET /%zz HTTP/1.1\r\n", "X", ""),
    fc.constantFrom("Host: a\r\n", "Host: %%%\r\n", "Host: a b\r\n", "", `Host: [::1\r\nX-API-Key: ${viewerKey}\r\n`),
    fc.uint8Array({ maxLength: 60 }),
  )
  .map(([line, host, more]): Input => {
    const bytes = Buffer.concat([Buffer.from(line + host), more, Buffer.from("\r\n\r\n")]);
    return { kind: "raw", path: "", init: {}, text: null, bytes };
  });

const anyInput = fc.oneof(
  { weight: 620, arbitrary: ingestInput },
  { weight: 60, arbitrary: brokenBytes },
  { weight: 280, arbitrary: readInput },
  { weight: 5, arbitrary: queryingInput },
  { weight: 25, arbitrary: otherInput },
  { weight: 10, arbitrary: rawInput },
);

// ------------------------------------------------------------------------------------------------ what must hold

const errorAnswer = Compile(ErrorAnswer);
const inside = /node_modules|\.ts:\d|\n\s+at \S+ \(|DB::Exception|FROM telemetry_/;

interface Stored {
  device_id: string;
  event_type: string;
  value_float: number | null;
  value_string: string | null;
  metadata: Record<string, string>;
  /** Epoch milliseconds; null where the server set it. */
  at: number | null;
}

const signature = (event: Stored): string =>
  JSON.stringify([
    event.device_id,
    event.event_type,
    event.value_float,
    event.value_string,
    Object.entries(event.metadata).sort(([a], [b]) => (a < b ? -1 : 1)),
    event.at,
  ]);

function expectedOf(event: Record<string, unknown>): Stored {
  const { timestamp } = event;
  return {
    device_id: event.device_id as string,
    event_type: event.event_type as string,
    value_float: (event.value_float as number | undefined) ?? null,
    value_string: (event.value_string as string | undefined) ?? null,
    metadata: (event.metadata as Record<string, string> | undefined) ?? {},
    at: timestamp === undefined ? null : typeof timestamp === "number" ? timestamp : Date.parse(timestamp as string),
  };
}

/** The events of an accepted body, by the interface's rules and none of the service's code. */
function eventsOf(text: string, ndjson: boolean): unknown[] {
  if (ndjson) {
    return text
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map((line) => {
        try {
          return JSON.parse(line) as unknown;
        } catch {
          return undefined; // on_error=skip names it as rejected
        }
      });
  }
  const value = JSON.parse(text) as unknown;
  if (Array.isArray(value)) return value;
  const wrapped = typeof value === "object" && value !== null && Object.hasOwn(value, "events");
  return wrapped ? (value as { events: unknown[] }).events : [value];
}

class Run {
  readonly statuses: Record<string, number> = {};
  readonly faults: string[] = [];
  /** How often an event was accepted; events without a time of their own under a key without one. */
  readonly accepted = new Map<string, number>();
  acceptedEvents = 0;
  /** Accepted, perhaps as the replay of an earlier answer. */
  uncertainEvents = 0;
  done = 0;
  readonly #service: Service;

  constructor(service: Service) {
    this.#service = service;
  }

  fault(input: Input, what: string): void {
    if (this.faults.length >= faultsMax) return;
    const sent = input.bytes ? Buffer.from(input.bytes).toString("base64") : (input.text ?? "").slice(0, 500);
    this.faults.push(`${what}: ${input.kind} ${input.path} ${sent}`);
  }

  async throwOne(input: Input): Promise<void> {
    if (input.kind === "raw") await this.#throwRaw(input);
    else await this.#throwRequest(input);
    this.done++;
  }

  async #throwRequest(input: Input): Promise<void> {
    const startedMs = performance.now();
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.#service.url + input.path, { ...input.init, redirect: "manual" });
      text = await response.text();
    } catch (error) {
      const seconds = (performance.now() - startedMs) / 1000;
      this.fault(input, `no answer after ${seconds.toFixed(1)} s, at input ${this.done} (${String(error)})`);
      return;
    }
    const { status } = response;
    const name = `${input.kind} ${status}`;
    this.statuses[name] = (this.statuses[name] ?? 0) + 1;
    if (status >= 500 && (status !== 503 || response.headers.get("retry-after") === null)) {
      this.fault(input, `answered ${status} ${text.slice(0, 200)}`);
    }
    if (status >= 400 && !isErrorAnswer(text))
      this.fault(input, `${status} is not an error answer: ${text.slice(0, 200)}`);
    if (status >= 400 && inside.test(text)) this.fault(input, `tells about the inside: ${text.slice(0, 300)}`);
    if (input.kind === "ingest" && status === 202) this.#accept(input, text);
  }

  #accept(input: Input, text: string): void {
    const answer = JSON.parse(text) as { event_count: number; rejected?: { index: number }[] };
    const ndjson = new Headers(input.init.headers).get("content-type")?.startsWith("application/x-ndjson") ?? false;
    const source = input.bytes ? Buffer.from(input.bytes).toString() : (input.text ?? "");
    if (source.startsWith("idempotent ")) {
      this.uncertainEvents += answer.event_count;
      return;
    }
    const rejected = new Set(answer.rejected?.map((fault) => fault.index));
    const events = eventsOf(source, ndjson).filter((_, index) => !rejected.has(index));
    if (events.length !== answer.event_count) this.fault(input, `accepted ${answer.event_count} of ${events.length}`);
    for (const event of events) {
      const key = signature(expectedOf(event as Record<string, unknown>));
      this.accepted.set(key, (this.accepted.get(key) ?? 0) + 1);
    }
    this.acceptedEvents += events.length;
  }

  /** Garbage on a socket: an answer or a closed connection, soon. */
  #throwRaw(input: Input): Promise<void> {
    const { port, hostname } = new URL(this.#service.url);
    return new Promise((resolve) => {
      const socket = connect(Number(port), hostname);
      let got = "";
      const finish = (): void => {
        socket.destroy();
        const status = /^HTTP\/1\.1 (\d{3})/.exec(got)?.[1] ?? "closed";
        this.statuses[`raw ${status}`] = (this.statuses[`raw ${status}`] ?? 0) + 1;
        if (status.startsWith("5") && status !== "505") this.fault(input, `answered ${got.slice(0, 100)}`);
        resolve();
      };
      socket.on("data", (chunk) => {
        got += chunk.toString("latin1");
        finish();
      });
      socket.on("error", finish);
      socket.on("close", finish);
      // A request that is not whole yet is waited for; the client gives up first.
      socket.setTimeout(500, finish);
      socket.end(input.bytes ?? "");
    });
  }

  /** Compares the table with what was accepted. */
  async readBack(): Promise<void> {
    const expected = this.acceptedEvents;
    const count = async (): Promise<number> =>
      (await this.#service.sql<{ n: number }>("SELECT count() AS n FROM telemetry_events"))[0]?.n ?? 0;
    await until("everything accepted to be stored", async () => (await count()) >= expected, 120_000);
    const left = new Map(this.accepted);
    let strangers = 0;
    const buckets = 64;
    for (let bucket = 0; bucket < buckets; bucket++) {
      const rows = await this.#service.sql<Omit<Stored, "at"> & { ms: number }>(
        `SELECT device_id, event_type, value_float, value_string, metadata, toUnixTimestamp64Milli(timestamp) AS ms
         FROM telemetry_events WHERE cityHash64(device_id) % ${buckets} = ${bucket}`,
      );
      for (const { ms, ...row } of rows) {
        if (!take(left, signature({ ...row, at: ms })) && !take(left, signature({ ...row, at: null }))) {
          strangers++;
          if (strangers > this.uncertainEvents && this.faults.length < faultsMax) {
            this.faults.push(`stored and not accepted: ${JSON.stringify(row)}`);
          }
        }
      }
    }
    for (const [key, missing] of left) {
      if (missing > 0 && this.faults.length < faultsMax)
        this.faults.push(`accepted and not stored ${missing} times: ${key}`);
    }
  }
}

function take(counts: Map<string, number>, key: string): boolean {
  const count = counts.get(key) ?? 0;
  if (count === 0) return false;
  counts.set(key, count - 1);
  return true;
}

function isErrorAnswer(text: string): boolean {
  try {
    return errorAnswer.Check(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

function residentMib(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Math.round(Number(match?.[1] ?? 0) / 1024);
}

/** Starts a service of its own and throws `inputs` at it. */
export async function fuzz(options: {
  inputs: number;
  seed: number;
  onProgress?: (done: number) => void;
}): Promise<FuzzReport> {
  const service = await startService({
    INGEST_KEYS: `fuzz:${ingestKey}`,
    VIEWER_KEYS: `fuzz:${viewerKey}`,
    IDEMPOTENCY_MAX_KEYS: "100",
  });
  const startedMs = performance.now();
  const run = new Run(service);
  const memory: number[] = [];
  try {
    let queue: Input[] = [];
    let made = 0;
    const next = (): Input | undefined => {
      if (queue.length === 0 && made < options.inputs) {
        const numRuns = Math.min(chunkInputs, options.inputs - made);
        queue = fc.sample(anyInput, { numRuns, seed: options.seed + made });
        made += numRuns;
        options.onProgress?.(run.done);
      }
      return queue.pop();
    };
    let progressMs = performance.now();
    const stuck = Promise.withResolvers<never>();
    const watchdog = setInterval(() => {
      if (performance.now() - progressMs > stuckMs) stuck.reject(new Error(`no answer for ${stuckMs} ms`));
    }, 1_000);
    const worker = async (): Promise<void> => {
      for (let input = next(); input !== undefined; input = next()) {
        await run.throwOne(input);
        progressMs = performance.now();
        if (run.done >= ((memory.length + 1) * options.inputs) / 10) memory.push(residentMib(service.pid));
      }
    };
    try {
      await Promise.race([Promise.all(Array.from({ length: connections }, worker)), stuck.promise]);
    } finally {
      clearInterval(watchdog);
    }
    const seconds = (performance.now() - startedMs) / 1000;
    await run.readBack();
    const ready = await fetch(`${service.url}/readyz`);
    if (ready.status !== 200) run.faults.push(`not ready afterwards: ${await ready.text()}`);
    if (/"level":"error"/.test(service.log())) {
      const line = service
        .log()
        .split("\n")
        .find((each) => each.includes('"level":"error"'));
      run.faults.push(`the log has an error: ${line?.slice(0, 500)}`);
    }
    return {
      seed: options.seed,
      inputs: run.done,
      seconds,
      statuses: Object.fromEntries(Object.entries(run.statuses).sort()),
      acceptedEvents: run.acceptedEvents,
      residentMib: memory,
      faults: run.faults,
    };
  } finally {
    await service.dispose();
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      inputs: { type: "string", default: "20000" },
      seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    },
  });
  const onProgress = (done: number): void => void process.stderr.write(`\r${done} inputs`);
  const report = await fuzz({ inputs: Number(values.inputs), seed: Number(values.seed), onProgress });
  process.stdout.write(`\n${JSON.stringify(report, null, 2)}\n`);
  process.exitCode = report.faults.length === 0 ? 0 : 1;
}
