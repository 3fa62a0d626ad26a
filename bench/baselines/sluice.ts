import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import {
  answersOk,
  bunPath,
  createTemporaryDirectory,
  removeTemporaryDirectory,
  type StartedProcess,
  startProcess,
  waitUntil,
} from "../processes.ts";
import { type ClickHouseAddress, projectRoot, queryTotals } from "../scratch-clickhouse.ts";
import { createJsonRequest, createLineRequest, type RunningTarget, type StoredTotals, type Target } from "../target.ts";

export interface SluiceOptions {
  /** What it is called in the report, where there are several. */
  name?: string;
  /** Takes the events as line protocol instead of JSON. */
  lines?: boolean;
  /** Settings by INTERFACE's names, over the defaults. */
  settings?: Record<string, string>;
  /** Another checkout of the project than this one. */
  root?: string;
}

/** One running service on a data directory that the caller owns. */
export interface RunningSluice {
  port: number;
  process: StartedProcess;
  clickHouse: ClickHouseAddress;
  readySeconds: number;
}

/** The service under test, with its embedded ClickHouse, as anybody would start it. */
export function createSluice(options: SluiceOptions = {}): Target<RunningTarget & RunningSluice> {
  return {
    name: options.name ?? "sluice",
    missing: () => null,
    async start() {
      const directory = createTemporaryDirectory("sluice");
      const sluice = await startSluice(directory, options);
      await waitForStore(sluice);
      return {
        ...sluice,
        processes: [sluice.process],
        encode: (batch) =>
          options.lines
            ? createLineRequest(sluice.port, "/write?db=bench", batch)
            : createJsonRequest(sluice.port, batch),
        stored: (expectedEvents) => readStored(sluice.clickHouse, expectedEvents),
        queryableOnAnswer: false,
        async stop() {
          const inTime = await sluice.process.stop();
          removeTemporaryDirectory(directory);
          return inTime;
        },
      };
    },
  };
}

/** Starts the service on this directory and waits for `/readyz`. */
export async function startSluice(
  directory: string,
  { settings = {}, root = projectRoot }: SluiceOptions = {},
): Promise<RunningSluice> {
  const port = findFreePort();
  const clickHouse = { port: findFreePort(), user: "default", password: crypto.randomUUID() };
  const startedNs = Bun.nanoseconds();
  const process = startProcess({
    name: "sluice",
    command: [bunPath, "server/main.ts"],
    directory,
    workingDirectory: root,
    env: {
      HOST: "127.0.0.1",
      PORT: String(port),
      DATA_DIR: join(directory, "data"),
      EMBEDDED_CLICKHOUSE_PORT: String(clickHouse.port),
      CLICKHOUSE_USER: clickHouse.user,
      CLICKHOUSE_PASSWORD: clickHouse.password,
      LOG_FORMAT: "json",
      ...settings,
    },
  });
  await waitUntil("/readyz", process, () => answersOk(`http://127.0.0.1:${port}/readyz`), 60_000);
  return { port, process, clickHouse, readySeconds: (Bun.nanoseconds() - startedNs) / 1e9 };
}

/** The service accepts before its ClickHouse has started; this waits until the tables can be queried. */
export async function waitForStore({ process, clickHouse }: RunningSluice): Promise<void> {
  const queryable = async () => {
    try {
      await readStored(clickHouse);
      return true;
    } catch (error) {
      if (error instanceof Error) return false;
      throw error;
    }
  };
  await waitUntil("answer from ClickHouse", process, queryable, 60_000);
}

/**
 * What can be queried of the events themselves and of the rollup: an event must be in both, once. Values are summed once so many events
 * have come: that reads the whole table, and asked for every 20 ms it took two fifths of the engine's CPU.
 */
export async function readStored(clickHouse: ClickHouseAddress, expectedEvents = 0): Promise<StoredTotals[]> {
  const counts = await Promise.all([
    queryCount(clickHouse, "telemetry_events", "SELECT count() FROM telemetry_events"),
    queryCount(clickHouse, "telemetry_1s", "SELECT sum(event_count) FROM telemetry_1s"),
  ]);
  if (counts.some(({ events }) => events < expectedEvents)) return counts;
  return Promise.all([
    queryTotals(clickHouse, "telemetry_events", "SELECT count(), sum(value_float) FROM telemetry_events"),
    queryTotals(clickHouse, "telemetry_1s", "SELECT sum(event_count), sum(value_sum) FROM telemetry_1s"),
  ]);
}

async function queryCount(clickHouse: ClickHouseAddress, place: string, sql: string): Promise<StoredTotals> {
  return { ...(await queryTotals(clickHouse, place, sql)), valueSum: null };
}
