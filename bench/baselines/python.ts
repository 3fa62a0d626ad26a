import { findFreePort } from "../../base/free-port.ts";
import {
  answersOk,
  createTemporaryDirectory,
  findProgram,
  removeTemporaryDirectory,
  startProcess,
  waitUntil,
} from "../processes.ts";
import { query, queryTotals, startEngine } from "../scratch-clickhouse.ts";
import { createJsonRequest, type Target } from "../target.ts";

const table = "predecessor_events";
const createTable = `CREATE TABLE ${table} (
  timestamp DateTime64(3, 'UTC'), device_id String, event_type String, value_float Nullable(Float64),
  value_string Nullable(String), metadata Map(String, String)
) ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp) ORDER BY (device_id, timestamp)`;

/** The two earlier versions of the system, from Debian's packages, on an embedded ClickHouse of their own. */
export function createPython(name: "predecessor" | "naive"): Target {
  return {
    name,
    missing: findMissing,
    async start() {
      const directory = createTemporaryDirectory(name);
      const engine = await startEngine(`${name}-clickhouse`, directory);
      await query(engine.address, createTable);
      const port = findFreePort();
      const process = startProcess({
        name,
        command: [...python(), "-m", "uvicorn", `${name}:app`, "--port", String(port), "--no-access-log"],
        directory,
        workingDirectory: import.meta.dirname,
        env: {
          CLICKHOUSE_URL: `http://127.0.0.1:${engine.address.port}/`,
          CLICKHOUSE_USER: engine.address.user,
          CLICKHOUSE_PASSWORD: engine.address.password,
          CLICKHOUSE_TABLE: table,
          PYTHONDONTWRITEBYTECODE: "1",
        },
      });
      await waitUntil("/health", process, () => answersOk(`http://127.0.0.1:${port}/health`));
      return {
        port,
        processes: [process, engine.process],
        encode: (batch) => createJsonRequest(port, batch),
        stored: async () => [
          await queryTotals(engine.address, table, `SELECT count(), sum(value_float) FROM ${table}`),
        ],
        queryableOnAnswer: name === "naive",
        async stop() {
          const inTime = await process.stop();
          const engineInTime = await engine.process.stop();
          removeTemporaryDirectory(directory);
          return inTime && engineInTime;
        },
      };
    },
  };
}

/** Debian's own interpreter comes first: another one in the path does not see Debian's packages. */
function python(): string[] {
  return [findProgram("/usr/bin/python3") ?? findProgram("python3") ?? "python3"];
}

let missing: string | null | undefined;

function findMissing(): string | null {
  if (missing === undefined) {
    const modules = ["fastapi", "uvicorn", "aiohttp", "backoff"];
    const probe = Bun.spawnSync([...python(), "-c", `import ${modules.join(", ")}`], { stderr: "ignore" });
    missing = probe.success ? null : "python3-fastapi, python3-uvicorn, python3-aiohttp, python3-backoff";
  }
  return missing;
}
