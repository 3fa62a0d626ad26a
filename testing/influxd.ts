import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../base/free-port.ts";
import { until } from "./until.ts";

/** Null where it is not installed. */
export const influxdPath: string | null = Bun.which("influxd");

const startTimeoutMs = 30_000;

export interface InfluxResult {
  readonly series?: readonly {
    readonly name: string;
    readonly columns: readonly string[];
    readonly values: readonly (readonly unknown[])[];
  }[];
  readonly error?: string;
}

export interface Influxd {
  readonly url: string;
  query(query: string, database?: string): Promise<readonly InfluxResult[]>;
  dispose(): Promise<void>;
}

/** Debian's InfluxDB 1.x on free ports, with a directory of its own. */
export async function startInfluxd(): Promise<Influxd> {
  if (influxdPath === null) throw new Error("influxd is not installed");
  const directory = mkdtempSync(join(tmpdir(), "influxd-"));
  const port = findFreePort();
  const configuration = join(directory, "influxdb.conf");
  writeFileSync(
    configuration,
    [
      "reporting-disabled = true",
      `bind-address = "127.0.0.1:${findFreePort()}"`,
      `[meta]\ndir = "${directory}/meta"`,
      `[data]\ndir = "${directory}/data"\nwal-dir = "${directory}/wal"\nquery-log-enabled = false`,
      "[monitor]\nstore-enabled = false",
      `[http]\nbind-address = "127.0.0.1:${port}"\nlog-enabled = false\nmax-body-size = 0`,
      "",
    ].join("\n"),
  );
  const child = Bun.spawn([influxdPath, "-config", configuration], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const url = `http://127.0.0.1:${port}`;
  await until(
    `influxd on ${url}`,
    async () => {
      if (child.exitCode !== null) throw new Error(`influxd ended with ${child.exitCode}`);
      const response = await fetch(`${url}/ping`).catch(() => undefined);
      return response?.status === 204;
    },
    startTimeoutMs,
  );
  return {
    url,
    async query(query, database = "") {
      const parameters = new URLSearchParams({ db: database, epoch: "ns", q: query });
      const response = await fetch(`${url}/query`, { method: "POST", body: parameters });
      // Digits that a double does not hold stay digits.
      const text = (await response.text()).replace(/([[,:])(-?\d{16,})(?=[\],}])/g, '$1"$2"');
      const { results, error } = JSON.parse(text) as { results?: InfluxResult[]; error?: string };
      if (results === undefined) throw new Error(error ?? text);
      return results;
    },
    async dispose() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
