/**
 * Throws inputs at the routes of other protocols of a real service, and holds it to: no 5xx but a deliberate 503, every refusal in its
 * protocol's shape, no connection left hanging, memory flat, and as many events taken as the reference parser and the messages say.
 *
 *   bun tests/protocols/fuzz.ts --inputs 1000000 --seed 1
 */
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { createRandom } from "../../base/random.ts";
import { ExportLogsServiceRequestSchema } from "../../server/ingest/otlp/generated/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../server/ingest/otlp/generated/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { parseReference } from "../../testing/line-protocol-reference.ts";
import { residentBytes } from "../../testing/test-engine.ts";
import { type Service, startService } from "../../testing/test-service.ts";
import { allStored } from "./stored.ts";

export interface FuzzReport {
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
  readonly statuses: Record<string, number>;
  readonly events: number;
  /** Resident memory of the service at each tenth of the way, in MiB. */
  readonly residentMib: readonly number[];
  /** At most 20. */
  readonly faults: readonly string[];
}

interface Input {
  readonly path: string;
  readonly init: RequestInit;
  /** How many events of device "fuzz" it brings. */
  readonly events: number;
}

type Random = () => number;

const connections = 48;
const stuckMs = 60_000;
const faultsMax = 20;

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const whole = (random: Random, below: number): number => Math.floor(random() * below);

const names = [
  "m",
  "cpu",
  "a b",
  "a,b",
  "a=b",
  'a"b',
  "é",
  "🚀",
  "\\",
  "__proto__",
  "' OR 1=1",
  "\u0000",
  "x".repeat(140),
];
const escaped = (name: string): string => name.replace(/[,= ]/g, "\\$&");
const values = [
  "1",
  "-1.5",
  "1e3",
  "1e999",
  "7i",
  "9223372036854775807i",
  "9223372036854775808i",
  "1u",
  "-1u",
  "1t",
  "t",
  "False",
  "yes",
  "NaN",
  '"text"',
  '"a \\"b\\""',
  '"two\nlines"',
  '"open',
  "",
  "0x1",
  ".5",
  "1.",
];
const damages = ["", '"', "\\", " ", ",", "=", "\n", "\r", "\t", "#", "\0", "1", "é"];

function line(random: Random): string {
  const tags = Array.from(
    { length: whole(random, 3) },
    () => `,${escaped(pick(random, names))}=${escaped(pick(random, names))}`,
  );
  const fields = Array.from(
    { length: 1 + whole(random, 3) },
    () => `${escaped(pick(random, names))}=${pick(random, values)}`,
  );
  const time = random() < 0.6 ? ` ${Date.now() - whole(random, 60_000)}000000` : random() < 0.1 ? " 12" : "";
  return `${escaped(pick(random, names))}${tags.join("")} ${fields.join(",")}${time}`;
}

function damaged(random: Random, text: string): string {
  let changed = text;
  for (let left = whole(random, 4); left > 0; left--) {
    const at = whole(random, changed.length + 1);
    changed = changed.slice(0, at) + pick(random, damages) + changed.slice(at + whole(random, 3));
  }
  return changed.toWellFormed();
}

const oneDayMs = 86_400_000;

/** Whether the service takes a point of this time; undefined so near a bound that it is a matter of the moment. */
function isTaken(timeMs: number | null): boolean | undefined {
  if (timeMs === null) return true;
  const ageMs = Date.now() - timeMs;
  if (ageMs > 31 * oneDayMs || ageMs < -oneDayMs) return false;
  return ageMs < 29 * oneDayMs && ageMs > -60_000 ? true : undefined;
}

function lines(random: Random, number: number): Input {
  const body = Array.from({ length: 1 + whole(random, 6) }, () => line(random)).join("\n");
  // A comment makes each body one of its own, so that none is taken for a repetition.
  const text = `# ${number}\n${random() < 0.5 ? body : damaged(random, body)}`;
  const { points } = parseReference(text, referenceOptions);
  if (points.some(({ timeMs }) => isTaken(timeMs) === undefined)) return lines(random, number);
  const events = points.filter(({ timeMs }) => isTaken(timeMs)).reduce((sum, { fields }) => sum + fields.length, 0);
  const path = pick(random, linePaths);
  const packed = random() < 0.1;
  const headers: Record<string, string> = packed ? { "Content-Encoding": "gzip" } : {};
  return { path, init: { method: "POST", body: packed ? gzipSync(text) : text, headers }, events };
}

const referenceOptions = {
  precision: "ns",
  deviceTags: ["device_id", "device", "host", "hostname"],
  place: "fuzz",
} as const;
const linePaths = [
  "/write?db=fuzz",
  "/api/v2/write?bucket=fuzz&org=x",
  "/api/v3/write_lp?db=fuzz&precision=nanosecond",
];

function noise(random: Random): Input {
  const bytes = Buffer.from(Array.from({ length: whole(random, 200) }, () => whole(random, 256)));
  const path = pick(random, [
    "/write?db=n",
    "/write",
    "/api/v2/write?bucket=",
    "/v1/metrics",
    "/v1/logs",
    "/query",
    "/write?precision=x",
    "/write?%ff=1",
    "/v1/logs?a=b",
    "/api/v3/write_lp?accept_partial=maybe",
  ]);
  const headers: Record<string, string> = {};
  if (random() < 0.5)
    headers["Content-Type"] = pick(random, [
      "application/x-protobuf",
      "application/json",
      "text/plain",
      "",
      "application/json; charset=latin1",
    ]);
  if (random() < 0.3) headers["Content-Encoding"] = pick(random, ["gzip", "zstd", "deflate", "GZIP "]);
  if (random() < 0.1) headers["Idempotency-Key"] = pick(random, ["", "k", "x".repeat(129)]);
  return { path, init: { method: pick(random, ["POST", "POST", "POST", "PUT"]), body: bytes, headers }, events: 0 };
}

function metricsRequest(random: Random) {
  const timeUnixNano = random() < 0.9 ? BigInt(Date.now()) * 1_000_000n : 1n;
  const attributes = [
    {
      key: pick(random, names),
      value: {
        value: pick(random, [
          { case: "stringValue" as const, value: pick(random, names) },
          { case: "intValue" as const, value: 5n },
          { case: "doubleValue" as const, value: Number.NaN },
          { case: "arrayValue" as const, value: { values: [{ value: { case: "boolValue" as const, value: true } }] } },
          { case: undefined },
        ]),
      },
    },
  ];
  const common = { timeUnixNano, attributes };
  const data = pick(random, [
    {
      case: "gauge" as const,
      value: {
        dataPoints: [{ ...common, value: { case: "asDouble" as const, value: pick(random, [1, Number.NaN, 1e300]) } }],
      },
    },
    {
      case: "sum" as const,
      value: {
        aggregationTemporality: 2,
        isMonotonic: true,
        dataPoints: [{ ...common, value: { case: "asInt" as const, value: 9007199254740993n } }, common],
      },
    },
    {
      case: "histogram" as const,
      value: { dataPoints: [{ ...common, count: 3n, sum: 2, bucketCounts: [1n, 2n], explicitBounds: [1] }] },
    },
    {
      case: "exponentialHistogram" as const,
      value: {
        dataPoints: [
          {
            ...common,
            count: 3n,
            scale: whole(random, 40) - 20,
            positive: { offset: whole(random, 2000) - 1000, bucketCounts: [1n, 0n, 2n] },
            negative: { offset: 1, bucketCounts: [1n] },
          },
        ],
      },
    },
    {
      case: "summary" as const,
      value: { dataPoints: [{ ...common, count: 1n, sum: 1, quantileValues: [{ quantile: 0.5, value: 1 }] }] },
    },
    { case: undefined },
  ]);
  return create(ExportMetricsServiceRequestSchema, {
    resourceMetrics: [
      {
        resource: { attributes: [{ key: "host.name", value: { value: { case: "stringValue", value: "fuzz-otlp" } } }] },
        scopeMetrics: [{ scope: { name: "s" }, metrics: [{ name: pick(random, names), unit: "u", data }] }],
      },
    ],
  });
}

function logsRequest(random: Random) {
  return create(ExportLogsServiceRequestSchema, {
    resourceLogs: [
      {
        scopeLogs: [
          {
            logRecords: [
              {
                observedTimeUnixNano: BigInt(Date.now()) * 1_000_000n,
                severityNumber: whole(random, 30),
                body: {
                  value: pick(random, [
                    { case: "stringValue" as const, value: pick(random, names) },
                    { case: "bytesValue" as const, value: Uint8Array.of(1, 2) },
                    { case: undefined },
                  ]),
                },
                traceId: Uint8Array.of(1, 2, 3),
                eventName: random() < 0.3 ? pick(random, names) : "",
              },
            ],
          },
        ],
      },
    ],
  });
}

function telemetry(random: Random): Input {
  const isMetrics = random() < 0.6;
  const [schema, message] = isMetrics
    ? ([ExportMetricsServiceRequestSchema, metricsRequest(random)] as const)
    : ([ExportLogsServiceRequestSchema, logsRequest(random)] as const);
  const path = isMetrics ? "/v1/metrics" : "/v1/logs";
  if (random() < 0.5) {
    const bytes = toBinary(schema as typeof ExportLogsServiceRequestSchema, message as never);
    if (random() < 0.6)
      for (let left = 1 + whole(random, 4); left > 0; left--) bytes[whole(random, bytes.length)] = whole(random, 256);
    return {
      path,
      init: { method: "POST", body: bytes as BodyInit, headers: { "Content-Type": "application/x-protobuf" } },
      events: 0,
    };
  }
  const text = JSON.stringify(toJson(schema as typeof ExportLogsServiceRequestSchema, message as never));
  const body = random() < 0.5 ? text : damaged(random, text);
  return { path, init: { method: "POST", body, headers: { "Content-Type": "application/json" } }, events: 0 };
}

function createInput(random: Random, number: number): Input {
  const kind = random();
  if (kind < 0.5) return lines(random, number);
  return kind < 0.85 ? telemetry(random) : noise(random);
}

/** What is wrong with the answer, if anything. */
async function faultOf(response: Response, { path, init }: Input): Promise<string | undefined> {
  const bytes = await response.bytes();
  const { status } = response;
  if (status >= 500 && status !== 503) return `${status}: ${Buffer.from(bytes).toString().slice(0, 200)}`;
  if (status < 400) return undefined;
  const isProtobuf = response.headers.get("content-type") === "application/x-protobuf";
  if (isProtobuf) return bytes[0] === 0x08 ? undefined : "no Status message";
  const answer = parseJson(bytes);
  const { code, message, error } = answer ?? {};
  const isShared = typeof error === "object" && error !== null && "code" in error && "message" in error;
  const isLines = typeof code === "string" && typeof message === "string" && (error === message || isShared);
  const isStatus = typeof code === "number" && typeof message === "string" && isShared;
  const isShaped = path.startsWith("/v1/") ? isStatus || isShared : isLines || isShared;
  if (!isShaped) return `${status} ${init.method} ${path}: ${Buffer.from(bytes).toString().slice(0, 200)}`;
  return /\/work\/|\.ts:\d|node_modules/.test(Buffer.from(bytes).toString()) ? "it tells of the inside" : undefined;
}

function parseJson(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

export async function fuzz(options: { readonly inputs: number; readonly seed: number }): Promise<FuzzReport> {
  const service: Service = await startService({ IDEMPOTENCY_MAX_KEYS: "20000" });
  const random = createRandom(options.seed);
  const startedMs = performance.now();
  const statuses: Record<string, number> = {};
  const faults: string[] = [];
  const residentMib: number[] = [];
  let expected = 0;
  let next = 0;
  const fault = (text: string): void => {
    if (faults.length < faultsMax) faults.push(text);
  };
  async function send(): Promise<void> {
    while (next < options.inputs && faults.length < faultsMax) {
      const number = next++;
      if (number % Math.ceil(options.inputs / 10) === 0)
        residentMib.push(Math.round(residentBytes(service.pid) / 2 ** 20));
      const input = createInput(random, number);
      let response: Response | undefined;
      for (let attempt = 0; attempt < 100; attempt++) {
        response = await fetch(service.url + input.path, { ...input.init, signal: AbortSignal.timeout(stuckMs) });
        if (response.status !== 503) break;
        await response.body?.cancel();
        await Bun.sleep(50);
      }
      if (response === undefined) continue;
      statuses[response.status] = (statuses[response.status] ?? 0) + 1;
      const wrong = await faultOf(response, input);
      if (wrong !== undefined) fault(`input ${number}: ${wrong}`);
      expected += input.events;
    }
  }
  try {
    await Promise.all(Array.from({ length: connections }, send)).catch((error: unknown) => fault(String(error)));
    residentMib.push(Math.round(residentBytes(service.pid) / 2 ** 20));
    await allStored(service, 120_000);
    const [row] = await service.sql<{ events: number }>(
      "SELECT count() AS events FROM telemetry_events WHERE device_id = 'fuzz'",
    );
    const events = row?.events ?? 0;
    if (events !== expected) fault(`${events} events of lines are stored; the reference parser has ${expected}`);
    return {
      seed: options.seed,
      inputs: next,
      seconds: Math.round((performance.now() - startedMs) / 1000),
      statuses,
      events,
      residentMib,
      faults,
    };
  } finally {
    await service.dispose();
  }
}

if (import.meta.main) {
  const { values: given } = parseArgs({
    options: { inputs: { type: "string", default: "200000" }, seed: { type: "string" } },
  });
  const report = await fuzz({
    inputs: Number(given.inputs),
    seed: Number(given.seed ?? Math.floor(Math.random() * 2 ** 32)),
  });
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  process.exit(report.faults.length > 0 ? 1 : 0);
}
