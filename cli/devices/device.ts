/** Process entry: this machine's own readings, as one device. `npm run device -- --help` */
import os from "node:os";
import { limits } from "../../contract/limits.ts";
import { createDevice, type Device } from "../../sdk/src/index.ts";
import { destinationOptions, numberBetween, parseArguments } from "./arguments.ts";
import { pause } from "./delivery.ts";
import { readSample } from "./machine-sample.ts";
import { readingEvents, readingsBetween } from "./readings.ts";
import { nextTickMs } from "./schedule.ts";
import { createStatusLine } from "./status-line.ts";

const farewellMs = 5_000;
const quietMs = 60_000;

const parsed = parseArguments(process.argv.slice(2), {
  usage: "npm run device -- [options]",
  about: `Posts this machine's own CPU, memory, disk, network and load as one device. While the service is away or refuses,
events wait in the spool and are sent again; when it is full the oldest are dropped and counted.`,
  options: {
    ...destinationOptions(process.env.SLUICE_KEY),
    device: {
      value: "ID",
      help: "device_id of the events",
      fallback: os.hostname(),
      parse: (text) => (text.length > 0 && text.length <= limits.deviceIdCharacters ? text : undefined),
      allowed: `1 to ${limits.deviceIdCharacters} characters`,
    },
    spool: {
      value: "DIR",
      help: "keeps events that wait across restarts, up to 64 MiB",
      fallback: null,
      fallbackText: "memory, 16 MiB",
      parse: (text: string): string | null | undefined => text || undefined,
      allowed: "a directory",
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

const { url, key, device: deviceId, spool, interval, seconds } = parsed.values;
const line = createStatusLine(process.stdout, { quietMs, now: () => performance.now() });
const stopping = new AbortController();
let signalled = false;
let keyRefused = false;
/** What keeps events waiting now, to be told once and not at every attempt. */
let trouble: string | null = null;

let device: Device;
try {
  // Each reading goes out at once: somebody is looking.
  device = createDevice({ url, key, deviceId, spool, flushIntervalMs: 0 });
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(2);
}
device.on("acknowledged", () => {
  if (trouble !== null) line.say(`${url} accepts again; ${device.stats.queued} events wait`);
  trouble = null;
});
device.on("retry", ({ status, reason }) => {
  const what = status === null ? `cannot be reached (${reason})` : `answers ${status} (${reason})`;
  if (trouble !== what) line.say(`${url} ${what}; events wait and are sent again`);
  trouble = what;
  if (status !== 401 && status !== 403) return;
  line.say("the key is missing or wrong: give --key, or SLUICE_KEY in the environment");
  keyRefused = true;
  stopping.abort();
});
device.on("refused", ({ events, reason, faults }) => {
  line.say(`${url} refuses ${events} events: ${faults[0]?.message ?? reason}; they are lost`);
});
let evictedBefore = false;
device.on("evicted", ({ reason }) => {
  if (!evictedBefore) line.say(`${reason}: the oldest events are dropped from now on`);
  evictedBefore = true;
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    signalled = true;
    stopping.abort();
  });
}

const intervalMs = interval * 1000;
const startMs = performance.now();
const endMs = startMs + seconds * 1000;
let before = await readSample(startMs, Date.now());
let dueMs = startMs;
const { acknowledged: acknowledgedBefore } = device.stats;
let offered = device.stats.queued;
line.say(`${deviceId} → ${url}/ingest, every ${interval} s`);

for (;;) {
  dueMs = nextTickMs(dueMs, performance.now(), intervalMs);
  if (dueMs > endMs) break;
  await pause(dueMs - performance.now(), stopping.signal);
  if (stopping.signal.aborted) break;
  const now = await readSample(performance.now(), Date.now());
  const readings = readingsBetween(before, now);
  before = now;
  const events = readingEvents(readings, { deviceId, host: os.hostname(), epochMs: now.epochMs });
  for (const event of events) device.send(event);
  offered += events.length;
  line.status(statusText(readings));
}

if (!stopping.signal.aborted) await Promise.race([device.flush(), pause(farewellMs, stopping.signal)]);
await device.close();
const { acknowledged, queued } = device.stats;
const sent = acknowledged - acknowledgedBefore;
const kept = spool === null ? 0 : queued;
const lost = offered - sent - kept;
line.close();
line.say(
  `${sent} of ${offered} events acknowledged${kept > 0 ? `, ${kept} wait in ${spool}` : ""}${lost > 0 ? `, ${lost} lost` : ""}`,
);
process.exit(keyRefused || (lost > 0 && !signalled) ? 1 : 0);

function statusText(readings: ReturnType<typeof readingsBetween>): string {
  const value = (type: string) => readings.find((reading) => reading.type === type)?.value;
  const parts = [
    ["cpu", value("cpu_percent"), "%"],
    ["memory", value("memory_percent"), "%"],
    ["load", value("load_1m"), ""],
  ].flatMap(([name, number, unit]) => (number === undefined ? [] : [`${name} ${number}${unit}`]));
  const { acknowledged, queued, evicted, refused } = device.stats;
  parts.push(`sent ${acknowledged}`, `waiting ${queued}`);
  if (evicted > 0) parts.push(`DROPPED ${evicted}`);
  if (refused > 0) parts.push(`REFUSED ${refused}`);
  return `${new Date().toTimeString().slice(0, 8)}  ${parts.join("  ")}`;
}
