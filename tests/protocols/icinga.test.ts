import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { storedRows } from "./stored.ts";

const icingaPath = Bun.which("icinga2", { PATH: `${process.env.PATH}:/usr/sbin` });
const key = "icinga-secret-0123456789";

/** One host, checked every second, whose result goes out through both of Icinga's writers. */
const configOf = (port: string): string => `
const NodeName = "icinga-test"
const ZoneName = NodeName
const Vars = {}
object IcingaApplication "app" {}
object CheckerComponent "checker" {}
object Endpoint NodeName {}
object Zone ZoneName { endpoints = [ NodeName ] }
object CheckCommand "probe" {
  command = [ "/bin/sh", "-c", "echo \\"OK | 'load 1'=0.25;5;10;0;16 used=1048576B;;;0; frac=95.5%;80;90 n=7\\"" ]
}
object Host "web, 1" { check_command = "probe"; check_interval = 1s; retry_interval = 1s; vars.site = "north" }
object InfluxdbWriter "one" {
  host = "127.0.0.1"; port = ${port}; database = "icinga"; username = "icinga"; password = "${key}"
  flush_interval = 1s; enable_send_thresholds = true
  host_template = { measurement = "one"; tags = { hostname = "$host.name$"; site = "$host.vars.site$" } }
}
object Influxdb2Writer "two" {
  host = "127.0.0.1"; port = ${port}; organization = "o"; bucket = "b"; auth_token = "${key}"
  flush_interval = 1s; enable_send_metadata = true
  host_template = { measurement = "two"; tags = { hostname = "$host.name$" } }
}
`;

describe.skipIf(icingaPath === null)("Icinga 2", () => {
  let service: Service;
  let icinga: Bun.Subprocess;
  const folder = mkdtempSync(join(tmpdir(), "sluice-icinga-"));

  beforeAll(async () => {
    service = await startService({ INGEST_KEYS: `icinga:${key}`, FLUSH_INTERVAL: "0.05" });
    const config = join(folder, "icinga2.conf");
    writeFileSync(config, configOf(new URL(service.url).port));
    const folders = ["Data", "Log", "Cache", "Spool", "InitRun"].map((name) => `-D${name}Dir=${join(folder, name)}`);
    for (const name of ["Data", "Log", "Cache", "Spool", "InitRun"]) mkdirSync(join(folder, name));
    const user = ["-DRunAsUser=root", "-DRunAsGroup=root"];
    icinga = Bun.spawn([icingaPath ?? "", "daemon", "-c", config, ...folders, ...user], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
  });

  afterAll(async () => {
    icinga.kill("SIGTERM");
    await icinga.exited;
    await service.dispose();
    rmSync(folder, { recursive: true });
  });

  test("both writers' check results are stored as the mapping says", async () => {
    const rows = await until(
      "results of both",
      async () => {
        const stored = await storedRows(service).catch(() => []);
        return stored.some(({ event_type }) => event_type === "two_state") && stored.some(isOne) && stored;
      },
      60_000,
    );
    const values = new Map(
      rows.map(({ event_type, metadata, value_float, value_string }) => [
        [event_type, metadata.metric].join(" "),
        value_string ?? value_float,
      ]),
    );
    expect(Object.fromEntries([...values].filter(([name]) => name.includes(" ")).filter(isSettled))).toEqual({
      "one load 1": 0.25,
      "one used": 1048576,
      "one frac": 95.5,
      "one n": 7,
      "one_warn load 1": 5,
      "one_crit load 1": 10,
      "one_min load 1": 0,
      "one_max load 1": 16,
      "one_min used": 0,
      "one_unit used": "bytes",
      "one_unit frac": "percent",
      "one_warn frac": 80,
      "one_crit frac": 90,
      "two load 1": 0.25,
      "two used": 1048576,
      "two frac": 95.5,
      "two n": 7,
      "two_unit used": "bytes",
      "two_unit frac": "percent",
    });
    expect(new Set(rows.map(({ device_id }) => device_id))).toEqual(new Set(["web, 1"]));
    expect(rows.filter(isOne).every(({ metadata }) => metadata.site === "north")).toBe(true);
    expect(rows.every(({ time_ms }) => Math.abs(time_ms - Date.now()) < 120_000)).toBe(true);
  }, 90_000);
});

const isOne = ({ event_type }: { readonly event_type: string }): boolean => event_type === "one";
/** What Icinga says of itself differs from check to check. */
const isSettled = ([name]: readonly [string, unknown]): boolean => !name.endsWith(" ");
