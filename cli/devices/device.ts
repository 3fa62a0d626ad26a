/** `sluice device`: this machine's own readings, as one device. */

import os from "node:os";
import { textOf } from "../../base/error-text.ts";
import { limits } from "../../contract/limits.ts";
import { createDevice, type Device, type DeviceStats } from "../../sdk/src/index.ts";
import { destinationOptions, numberBetween, parseArguments } from "./arguments.ts";
import { pause } from "./delivery.ts";
import { readSample } from "./machine-sample.ts";
import { readingEvents, readingsBetween } from "./readings.ts";
import { nextTickMs } from "./schedule.ts";
import { createStatusLine } from "./status-line.ts";

const farewellMs = 5_000;
const quietMs = 60_000;

const program = {
  usage: "sluice device [options]",
  about: `Posts this machine's own CPU, memory, disk, network and load as one device. While the service is away or refuses,
events wait in the spool and are sent again; when it is full the oldest are dropped and counted.`,
  options: {
    ...destinationOptions(process.env.SLUICE_KEY),
    device: {
      value: "ID",
      help: "device_id of the events",
      fallback: os.hostname(),
      parse: (text: string) => (text.length > 0 && text.length <= limits.deviceIdCharacters ? text : undefined),
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
};

type Settings = Extract<ReturnType<typeof parse>, { kind: "run" }>["values"];

const parse = (argv: readonly string[]) => parseArguments(argv, program);

export async function device(argv: readonly string[]): Promise<number> {
  const parsed = parse(argv);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  if (parsed.kind === "wrong") {
    console.error(parsed.message);
    return 2;
  }
  let client: Device;
  try {
    const { url, key, spool, device: deviceId } = parsed.values;
    // Each reading goes out at once: somebody is looking.
    client = createDevice({ url, key, deviceId, spool, flushIntervalMs: 0 });
  } catch (error) {
    console.error(textOf(error));
    return 2;
  }
  return run(client, parsed.values);
}

async function run(client: Device, settings: Settings): Promise<number> {
  const { url, device: deviceId, spool, interval, seconds } = settings;
  const line = createStatusLine(process.stdout, { quietMs, now: () => performance.now() });
  const stopping = new AbortController();
  const end = followReports(client, url, line, () => stopping.abort());
  let signalled = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      signalled = true;
      stopping.abort();
    });
  }
  const acknowledgedBefore = client.stats.acknowledged;
  let offered = client.stats.queued;
  line.say(`${deviceId} → ${url}/ingest, every ${interval} s`);
  await takeReadings(
    { intervalMs: interval * 1000, lengthMs: seconds * 1000, stop: stopping.signal },
    (readings, epochMs) => {
      const events = readingEvents(readings, { deviceId, host: os.hostname(), epochMs });
      for (const event of events) client.send(event);
      offered += events.length;
      line.status(statusText(readings, client.stats));
    },
  );
  if (!stopping.signal.aborted) await Promise.race([client.flush(), pause(farewellMs, stopping.signal)]);
  await client.close();
  const { acknowledged, queued } = client.stats;
  const sent = acknowledged - acknowledgedBefore;
  const kept = spool === null ? 0 : queued;
  const lost = offered - sent - kept;
  line.close();
  const rest = `${kept > 0 ? `, ${kept} wait in ${spool}` : ""}${lost > 0 ? `, ${lost} lost` : ""}`;
  line.say(`${sent} of ${offered} events acknowledged${rest}`);
  return end.keyRefused || (lost > 0 && !signalled) ? 1 : 0;
}

/** Tells what keeps events waiting, once and not at every attempt. A key that is refused ends the program. */
function followReports(
  client: Device,
  url: string,
  line: ReturnType<typeof createStatusLine>,
  stop: () => void,
): { readonly keyRefused: boolean } {
  const end = { keyRefused: false };
  let trouble: string | null = null;
  let evictedBefore = false;
  client.on("acknowledged", () => {
    if (trouble !== null) line.say(`${url} accepts again; ${client.stats.queued} events wait`);
    trouble = null;
  });
  client.on("retry", ({ status, reason }) => {
    const what = status === null ? `cannot be reached (${reason})` : `answers ${status} (${reason})`;
    if (trouble !== what) line.say(`${url} ${what}; events wait and are sent again`);
    trouble = what;
    if (status !== 401 && status !== 403) return;
    line.say("the key is missing or wrong: give --key, or SLUICE_KEY in the environment");
    end.keyRefused = true;
    stop();
  });
  client.on("refused", ({ events, reason, faults }) => {
    line.say(`${url} refuses ${events} events: ${faults[0]?.message ?? reason}; they are lost`);
  });
  client.on("evicted", ({ reason }) => {
    if (!evictedBefore) line.say(`${reason}: the oldest events are dropped from now on`);
    evictedBefore = true;
  });
  return end;
}

type Readings = ReturnType<typeof readingsBetween>;

async function takeReadings(
  schedule: { readonly intervalMs: number; readonly lengthMs: number; readonly stop: AbortSignal },
  take: (readings: Readings, epochMs: number) => void,
): Promise<void> {
  const startMs = performance.now();
  let before = await readSample(startMs, Date.now());
  for (let dueMs = startMs; ; ) {
    dueMs = nextTickMs(dueMs, performance.now(), schedule.intervalMs);
    if (dueMs > startMs + schedule.lengthMs) return;
    await pause(dueMs - performance.now(), schedule.stop);
    if (schedule.stop.aborted) return;
    const now = await readSample(performance.now(), Date.now());
    take(readingsBetween(before, now), now.epochMs);
    before = now;
  }
}

function statusText(readings: Readings, stats: DeviceStats): string {
  const value = (type: string) => readings.find((reading) => reading.type === type)?.value;
  const parts = [
    ["cpu", value("cpu_percent"), "%"],
    ["memory", value("memory_percent"), "%"],
    ["load", value("load_1m"), ""],
  ].flatMap(([name, number, unit]) => (number === undefined ? [] : [`${name} ${number}${unit}`]));
  const { acknowledged, queued, evicted, refused } = stats;
  parts.push(`sent ${acknowledged}`, `waiting ${queued}`);
  if (evicted > 0) parts.push(`DROPPED ${evicted}`);
  if (refused > 0) parts.push(`REFUSED ${refused}`);
  return `${new Date().toTimeString().slice(0, 8)}  ${parts.join("  ")}`;
}
