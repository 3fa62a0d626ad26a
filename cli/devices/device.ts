/** Process entry: this machine's own readings, as one device. `npm run device -- --help` */
import os from "node:os";
import { limits } from "../../contract/limits.ts";
import { destinationOptions, numberBetween, parseArguments } from "./arguments.ts";
import { createDelivery, pause } from "./delivery.ts";
import { readSample } from "./machine-sample.ts";
import { type Batch, createPost, encodeBatch, type Outcome } from "./post.ts";
import { readingEvents, readingsBetween } from "./readings.ts";
import { nextTickMs } from "./schedule.ts";
import { createStatusLine } from "./status-line.ts";

/** Over an hour of a machine with few cores; about as long as the service remembers an Idempotency-Key. */
const maxWaitingEvents = 100_000;
const requestTimeoutMs = 10_000;
const farewellMs = 5_000;
const quietMs = 60_000;

const parsed = parseArguments(process.argv.slice(2), {
  usage: "npm run device -- [options]",
  about: `Posts this machine's own CPU, memory, disk, network and load as one device. While the service is away or refuses,
up to ${maxWaitingEvents} events wait here and are sent again; past that the oldest are dropped and counted.`,
  options: {
    ...destinationOptions(process.env.SLUICE_KEY),
    device: {
      value: "ID",
      help: "device_id of the events",
      fallback: os.hostname(),
      parse: (text) => (text.length > 0 && text.length <= limits.deviceIdCharacters ? text : undefined),
      allowed: `1 to ${limits.deviceIdCharacters} characters`,
    },
    interval: {
      value: "SECONDS",
      help: "time between two readings",
      fallback: 1,
      parse: numberBetween(0.1, 3600),
      allowed: "0.1 to 3600",
    },
    seconds: {
      value: "N",
      help: "stop after this long",
      fallback: Number.POSITIVE_INFINITY,
      fallbackText: "never",
      parse: numberBetween(0.1, 1e9),
      allowed: "a number of seconds from 0.1",
    },
  },
});
if (parsed.kind === "help") {
  console.log(parsed.text);
  process.exit(0);
}
if (parsed.kind === "wrong") {
  console.error(parsed.message);
  process.exit(2);
}

const { url, key, device, interval, seconds } = parsed.values;
const line = createStatusLine(process.stdout, { quietMs, now: () => performance.now() });
const stopping = new AbortController();
let signalled = false;
let keyRefused = false;
/** What keeps events waiting now, to be told once and not at every attempt. */
let trouble: string | null = null;

const delivery = createDelivery<Batch>(
  {
    post: createPost({ url, key, timeoutMs: requestTimeoutMs, now: Date.now }),
    pause,
    random: Math.random,
    onOutcome: tell,
  },
  { maxInFlight: 1, maxWaitingEvents },
);

function tell(outcome: Outcome): void {
  if (outcome.kind === "acknowledged") {
    if (trouble !== null) line.say(`${url} accepts again; ${delivery.counts.pending} events wait`);
    trouble = null;
    return;
  }
  const reason =
    outcome.kind === "unreachable"
      ? `cannot be reached (${outcome.message})`
      : `answers ${outcome.status} (${outcome.message})`;
  if (outcome.kind !== "rejected") {
    if (trouble !== reason) line.say(`${url} ${reason}; events wait and are sent again`);
    trouble = reason;
    return;
  }
  line.say(`${url} ${reason}; the events of one reading are lost`);
  if (outcome.status === 401 || outcome.status === 403) {
    line.say("the key is missing or wrong: give --key, or SLUICE_KEY in the environment");
    keyRefused = true;
    stopping.abort();
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    signalled = true;
    stopping.abort();
  });
}

/** Apart from all other runs: the same key in another run would be taken for a repetition. */
const run = crypto.randomUUID();
const intervalMs = interval * 1000;
const startMs = performance.now();
const endMs = startMs + seconds * 1000;
let before = await readSample(startMs, Date.now());
let dueMs = startMs;
let dropped = 0;
line.say(`${device} → ${url}/ingest, every ${interval} s`);

for (let tick = 1; ; tick++) {
  dueMs = nextTickMs(dueMs, performance.now(), intervalMs);
  if (dueMs > endMs) break;
  await pause(dueMs - performance.now(), stopping.signal);
  if (stopping.signal.aborted) break;
  const now = await readSample(performance.now(), Date.now());
  const readings = readingsBetween(before, now);
  before = now;
  const events = readingEvents(readings, { deviceId: device, host: os.hostname(), epochMs: now.epochMs });
  delivery.offer(encodeBatch(`${run}-${tick}`, events));
  if (delivery.counts.dropped > dropped && dropped === 0) {
    line.say(`more than ${maxWaitingEvents} events wait: the oldest are dropped from now on`);
  }
  dropped = delivery.counts.dropped;
  line.status(statusText(readings));
}

await delivery.drain(farewellMs);
delivery.stop();
const { counts } = delivery;
const lost = counts.dropped + counts.rejected + counts.pending;
line.close();
line.say(`${counts.acknowledged} of ${counts.offered} events acknowledged${lost > 0 ? `, ${lost} lost` : ""}`);
process.exit(keyRefused || (lost > 0 && !signalled) ? 1 : 0);

function statusText(readings: ReturnType<typeof readingsBetween>): string {
  const value = (type: string) => readings.find((reading) => reading.type === type)?.value;
  const parts = [
    ["cpu", value("cpu_percent"), "%"],
    ["memory", value("memory_percent"), "%"],
    ["load", value("load_1m"), ""],
  ].flatMap(([name, number, unit]) => (number === undefined ? [] : [`${name} ${number}${unit}`]));
  const { acknowledged, pending, dropped, rejected } = delivery.counts;
  parts.push(`sent ${acknowledged}`, `waiting ${pending}`);
  if (dropped > 0) parts.push(`DROPPED ${dropped}`);
  if (rejected > 0) parts.push(`REJECTED ${rejected}`);
  return `${new Date().toTimeString().slice(0, 8)}  ${parts.join("  ")}`;
}
