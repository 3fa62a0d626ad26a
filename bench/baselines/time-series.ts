import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import {
  answersOk,
  createTemporaryDirectory,
  findProgram,
  removeTemporaryDirectory,
  startProcess,
  waitUntil,
} from "../processes.ts";
import { createLineRequest, type StoredTotals, type Target } from "../target.ts";

/** Takes numbers only, and answers before anything is on disk. */
export const victoriaMetrics: Target = {
  name: "victoria-metrics",
  missing: () => (findProgram("victoria-metrics") ? null : "victoria-metrics"),
  async start() {
    const directory = createTemporaryDirectory("victoria-metrics");
    const port = findFreePort();
    const url = `http://127.0.0.1:${port}`;
    const process = startProcess({
      name: "victoria-metrics",
      command: [
        findProgram("victoria-metrics")!,
        `-httpListenAddr=127.0.0.1:${port}`,
        `-storageDataPath=${join(directory, "data")}`,
        "-loggerLevel=ERROR",
      ],
      directory,
    });
    await waitUntil("/health", process, () => answersOk(`${url}/health`));
    return {
      port,
      processes: [process],
      encode: (batch) => createLineRequest(port, "/write", batch),
      async stored() {
        const metrics = await (await fetch(`${url}/metrics`)).text();
        const counted = /^vm_rows_inserted_total\{type="influx"\} (\d+)/m.exec(metrics)?.[1];
        return [{ place: "vm_rows_inserted_total", events: Number(counted ?? 0), valueSum: null }];
      },
      queryableOnAnswer: true,
      async stop() {
        const inTime = await process.stop();
        removeTemporaryDirectory(directory);
        return inTime;
      },
    };
  },
};

/** Takes numbers only; by its default (`wal-fsync-delay = 0s`) its write-ahead log is flushed before the answer. */
export const influxdb: Target = {
  name: "influxdb",
  missing: () => (findProgram("influxd") ? null : "influxdb"),
  async start() {
    const directory = createTemporaryDirectory("influxdb");
    const port = findFreePort();
    const url = `http://127.0.0.1:${port}`;
    const process = startProcess({
      name: "influxdb",
      command: [findProgram("influxd")!, "run", "-config", "/dev/null"],
      env: {
        INFLUXDB_BIND_ADDRESS: `127.0.0.1:${findFreePort()}`,
        INFLUXDB_HTTP_BIND_ADDRESS: `127.0.0.1:${port}`,
        INFLUXDB_HTTP_LOG_ENABLED: "false",
        INFLUXDB_META_DIR: join(directory, "meta"),
        INFLUXDB_DATA_DIR: join(directory, "data"),
        INFLUXDB_DATA_WAL_DIR: join(directory, "wal"),
        INFLUXDB_MONITOR_STORE_ENABLED: "false",
        INFLUXDB_REPORTING_DISABLED: "true",
        INFLUXDB_LOGGING_LEVEL: "error",
        INFLUXDB_IFQL_ENABLED: "false",
      },
      directory,
    });
    await waitUntil("/ping", process, () => answersOk(`${url}/ping`));
    await fetch(`${url}/query`, { method: "POST", body: new URLSearchParams({ q: "CREATE DATABASE bench" }) });
    return {
      port,
      processes: [process],
      encode: (batch) => createLineRequest(port, "/write?db=bench", batch),
      stored: () => readInfluxTotals(url),
      queryableOnAnswer: true,
      async stop() {
        const inTime = await process.stop();
        removeTemporaryDirectory(directory);
        return inTime;
      },
    };
  },
};

async function readInfluxTotals(url: string): Promise<StoredTotals[]> {
  const parameters = new URLSearchParams({
    db: "bench",
    q: "SELECT count(value), sum(value) FROM /.*/",
    format: "csv",
  });
  const response = await fetch(`${url}/query?${parameters}`, { headers: { Accept: "application/csv" } });
  const lines = (await response.text()).trim().split("\n").slice(1);
  const totals: StoredTotals = { place: "influxdb", events: 0, valueSum: 0 };
  for (const line of lines) {
    const cells = line.split(",");
    totals.events += Number(cells.at(-2));
    totals.valueSum = (totals.valueSum ?? 0) + Number(cells.at(-1));
  }
  return [totals];
}
