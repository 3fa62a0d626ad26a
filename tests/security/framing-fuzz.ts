/**
 * Grammar-aware fuzzing of HTTP framing over raw sockets, against a real service: lengths, chunks, trailers, pipelining,
 * half-closed and broken connections, packed bodies damaged and cut anywhere. It holds the service to one invariant: what was
 * answered 2xx is stored once, and anything else is not stored.
 *
 *   bun tests/security/framing-fuzz.ts --cases 1000000 --seed 1
 *
 * A case is one connection with one to four messages, of which three in four cases have one that is damaged.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { parseArgs } from "node:util";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { buildCase, createRandom, type FramingCase } from "./framing-cases.ts";

export interface FramingReport {
  readonly seed: number;
  readonly cases: number;
  readonly seconds: number;
  readonly statuses: Record<string, number>;
  readonly stored: number;
  /** Resident memory of the service at each tenth of the way, in MiB. */
  readonly residentMib: number[];
  /** At most 20. */
  readonly faults: string[];
}

/** What a connection came to. */
interface Outcome {
  readonly statuses: number[];
  /** Events in answers of acceptance. */
  readonly accepted: number;
  /** The service ended the connection in an orderly way. */
  readonly ended: boolean;
}

const connectionsAtOnce = 48;
const casesAtOnce = 4_000;
/** A connection that is not answered and not closed for that long hangs. */
const stuckMs = 20_000;
const faultsMax = 20;
/** So many source addresses: a port is not free again for a minute after its connection ended. */
const sourceAddresses = 200;

function play({ pieces, end }: FramingCase, port: number, source: number): Promise<Outcome | "stuck"> {
  return new Promise((resolve) => {
    const localAddress = `127.0.1.${1 + (source % sourceAddresses)}`;
    const socket = connect({ port, host: "127.0.0.1", localAddress, allowHalfOpen: true, noDelay: true });
    let text = "";
    const finish = (ended: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
      const counts = [...text.matchAll(/"status":"(?:queued|stored)","event_count":(\d+)/g)];
      resolve({
        statuses: statuses.filter((status) => status !== 100),
        accepted: counts.reduce((sum, match) => sum + Number(match[1]), 0),
        ended,
      });
    };
    const timer = setTimeout(() => {
      socket.destroy();
      resolve("stuck");
    }, stuckMs);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("end", () => finish(true));
    socket.on("error", () => finish(false));
    socket.on("close", () => finish(false));
    socket.on("connect", async () => {
      for (const piece of pieces) {
        socket.write(piece);
        if (pieces.length > 1) await new Promise((sent) => setImmediate(sent));
      }
      if (end === "reset") socket.resetAndDestroy();
      else socket.end();
    });
  });
}

const residentMib = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

interface Played {
  readonly id: string;
  readonly played: FramingCase;
  readonly outcome: Outcome | "stuck";
}

/** Plays the cases with these numbers; `connectionsAtOnce` at a time. */
async function playAll(seed: number, from: number, to: number, port: number): Promise<Played[]> {
  const all: Played[] = [];
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < to) {
      const number = next++;
      const id = `f${seed}-${number}`;
      const played = buildCase(createRandom(seed * 0x9e3779b1 + number), id);
      all.push({ id, played, outcome: await play(played, port, number) });
    }
  };
  await Promise.all(Array.from({ length: connectionsAtOnce }, worker));
  return all;
}

/** Rows of each case, and those of one device id: the last part of an id is the message's. */
async function storedRows(service: Service, marker: string): Promise<Map<string, { rows: number; most: number }>> {
  const mark = await service.ingest({ device_id: marker, event_type: "marker" }, { query: "?wait=stored" });
  if (mark.status !== 200 && mark.status !== 202) throw new Error(`the service answers ${mark.status}`);
  await until(
    "everything to be stored",
    async () => {
      const [row] = await service.sql<{ n: number }>(
        `SELECT count() AS n FROM telemetry_events WHERE device_id = '${marker}'`,
      );
      return row?.n === 1;
    },
    120_000,
  );
  const rows = await service.sql<{ id: string; rows: number; most: number }>(
    `SELECT arrayStringConcat(arraySlice(splitByChar('-', device_id), 1, 2), '-') AS id, sum(n) AS rows, max(n) AS most
     FROM (SELECT device_id, count() AS n FROM telemetry_events WHERE event_type = 'framing' GROUP BY device_id) GROUP BY id`,
  );
  return new Map(rows.map((row) => [row.id, row]));
}

function faultOf({ id, played, outcome }: Played, stored: { rows: number; most: number }): string | null {
  const about = `${id} (${played.damage}, ${played.messages} messages, ${played.pieces.length} pieces)`;
  if (outcome === "stuck") return `${about}: neither answered nor closed`;
  if (stored.most > 1) return `${about}: stored ${stored.most} times`;
  const told = `answers ${outcome.statuses.join(" ")}, accepted ${outcome.accepted}, stored ${stored.rows}`;
  if (outcome.statuses.some((status) => status >= 500 && status !== 503 && status !== 505)) return `${about}: ${told}`;
  // Who does not wait for an answer gets none; the rows are there at most once.
  if (played.end === "reset") return null;
  if (outcome.accepted !== stored.rows) return `${about}: ${told}`;
  const allGood = outcome.statuses.length === played.messages && outcome.statuses.every((status) => status < 300);
  if (played.whole && !(allGood && outcome.ended)) return `${about}: nothing was damaged, ${told}`;
  return null;
}

export async function fuzzFraming({
  cases,
  seed,
}: {
  readonly cases: number;
  readonly seed: number;
}): Promise<FramingReport> {
  const started = performance.now();
  const service = await startService({ LOG_LEVEL: "error" });
  const port = Number(new URL(service.url).port);
  const statuses = new Map<string, number>();
  const memory: number[] = [];
  const faults: string[] = [];
  const played: Played[] = [];
  try {
    for (let from = 0; from < cases; from += casesAtOnce) {
      const some = await playAll(seed, from, Math.min(cases, from + casesAtOnce), port);
      for (const { outcome } of some) {
        const all = outcome === "stuck" ? ["stuck"] : outcome.statuses.map(String);
        for (const status of all.length === 0 ? ["none"] : all) statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
      // Kept without its bytes: a million cases are compared at the end.
      played.push(
        ...some.map((each) => ({
          ...each,
          played: { ...each.played, pieces: each.played.pieces.map(() => Buffer.alloc(0)) },
        })),
      );
      if (memory.length < Math.floor(((from + some.length) / cases) * 10))
        memory.push(Math.round(residentMib(service.pid)));
    }
    const stored = await storedRows(service, `marker-${seed}`);
    let rows = 0;
    for (const each of played) {
      const found = stored.get(each.id) ?? { rows: 0, most: 0 };
      rows += found.rows;
      const fault = faultOf(each, found);
      if (fault !== null && faults.length < faultsMax) faults.push(fault);
    }
    const seconds = Math.round((performance.now() - started) / 1000);
    return {
      seed,
      cases,
      seconds,
      statuses: Object.fromEntries([...statuses].sort()),
      stored: rows,
      residentMib: memory,
      faults,
    };
  } catch (error) {
    // Most of all when the service has ended: it says why.
    throw new Error(`case ${played.length}: ${error}\n${service.log().slice(-4_000)}`);
  } finally {
    await service.dispose();
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { cases: { type: "string", default: "20000" }, seed: { type: "string", default: "1" } },
  });
  const report = await fuzzFraming({ cases: Number(values.cases), seed: Number(values.seed) });
  console.log(JSON.stringify(report, null, 2));
  process.exit(report.faults.length === 0 ? 0 : 1);
}
