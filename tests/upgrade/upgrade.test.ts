import { afterAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Service, startService, until } from "../../testing/test-service.ts";

/**
 * A data directory made by the release before this one, as it was left by SIGKILL, opened by this one; and the way back.
 * The old release is taken from the repository's history, with today's packages.
 */
const oldRelease = "1310f08";
const root = join(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "sluice-upgrade-"));
const old = join(folder, "release");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hasHistory = Bun.spawnSync(["git", "cat-file", "-e", `${oldRelease}^{commit}`], { cwd: root }).exitCode === 0;
if (!hasHistory) process.stderr.write(`upgrade: commit ${oldRelease} is not in this clone; fetch the whole history\n`);

const password = "engine-password-0123";
const settings = { CLICKHOUSE_PASSWORD: password, RETENTION_DAYS: "10000" };

function checkOut(): void {
  mkdirSync(old);
  const made = Bun.spawnSync(["bash", "-c", `git archive ${oldRelease} | tar x -C "$0"`, old], { cwd: root });
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  symlinkSync(join(root, "node_modules"), join(old, "node_modules"));
}

const startOld = (dataDirectory: string, more: Record<string, string> = {}): Promise<Service> =>
  startService({ ...settings, DATA_DIR: dataDirectory, ...more }, old);
const startNew = (dataDirectory: string, more: Record<string, string> = {}): Promise<Service> =>
  startService({ ...settings, DATA_DIR: dataDirectory, ...more });

async function write(service: Service, sql: string): Promise<void> {
  const url = `${service.clickHouseUrl}/?user=default&password=${password}`;
  const response = await fetch(url, { method: "POST", body: sql });
  if (!response.ok) throw new Error(await response.text());
}

const events = (from: number, count: number): unknown[] =>
  Array.from({ length: count }, (_, index) => ({
    device_id: `device-${index % 7}`,
    event_type: `type-${index % 3}`,
    value_float: from + index,
    metadata: { site: `s${index % 2}` },
  }));

const accepted = async (service: Service, from: number, count: number, key?: string): Promise<void> => {
  const headers: Record<string, string> = key === undefined ? {} : { "Idempotency-Key": key };
  expect((await service.ingest(events(from, count), { headers })).status).toBe(202);
};

const idle = (service: Service): Promise<unknown> =>
  until("everything to be stored", async () => {
    const pipeline = (await (await fetch(`${service.url}/api/pipeline`)).json()) as {
      pending: number;
      clickhouse: string;
    };
    return pipeline.clickhouse === "ok" && pipeline.pending === 0;
  });

async function expectOnce(service: Service, values: readonly number[]): Promise<void> {
  const rows = await service.sql<{ v: number }>("SELECT value_float AS v FROM telemetry_events ORDER BY v");
  expect(rows.map(({ v }) => v)).toEqual([...values].sort((a, b) => a - b));
  for (const table of ["telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"]) {
    expect(await service.sql(`SELECT sum(event_count) AS n FROM ${table}`)).toEqual([{ n: values.length }]);
  }
}

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index);

test.skipIf(!hasHistory)(
  `the directory of ${oldRelease} opens: tables, unsent segments, keys and dead letters, nothing lost or doubled; and the way back`,
  async () => {
    checkOut();
    const data = join(folder, "data");
    mkdirSync(data, { mode: 0o700 });
    let service = await startOld(data);
    await accepted(service, 0, 500);
    await idle(service);
    await write(
      service,
      "ALTER TABLE telemetry_events ADD CONSTRAINT poison CHECK value_float IS NULL OR value_float != -666",
    );
    await service.ingest({ device_id: "bad", event_type: "bad", value_float: -666 });
    await until("a dead letter", () => readdirSync(join(data, "dead-letter")).some((name) => name.endsWith(".ndjson")));
    await write(service, "ALTER TABLE telemetry_events DROP CONSTRAINT poison");
    await service.stop();
    // Accepted and never stored; a batch is cut by its size, another one is open when the process is killed.
    service = await startOld(data, {
      FLUSH_INTERVAL: "1h",
      SEGMENT_MAX_BYTES: "64KiB",
      EMBEDDED_CLICKHOUSE_PORT: "0",
      CLICKHOUSE_URL: "http://127.0.0.1:9",
    });
    const segments = (): number => readdirSync(join(data, "journal")).filter((name) => name.endsWith(".seg")).length;
    for (let from = 1_000; from < 6_000; from += 1_000) {
      await accepted(service, from, 1_000, `batch-${from}`);
      // Batches end between epochs, which end every 100 ms.
      await Bun.sleep(150);
    }
    await service.kill();
    expect(segments()).toBeGreaterThan(1);
    const before = join(folder, "before");
    cpSync(data, before, { recursive: true });

    service = await startNew(data);
    await idle(service);
    const values = [...range(0, 500), ...range(1_000, 5_000)];
    await expectOnce(service, values);
    // A request from before the upgrade, sent again after it, is known.
    await accepted(service, 1_000, 1_000, "batch-1000");
    await accepted(service, 10_000, 100);
    await idle(service);
    await expectOnce(service, [...values, ...range(10_000, 100)]);
    const letters = Bun.spawnSync([process.execPath, "cli/sluice.ts", "dead-letters", "list"], {
      cwd: root,
      env: { PATH: process.env.PATH ?? "", DATA_DIR: data },
    });
    expect(letters.stdout.toString().trim().split("\n")).toHaveLength(1);
    expect(JSON.parse(readFileSync(join(data, "format.json"), "utf8"))).toMatchObject({ format: 1 });
    await service.stop();
    await service.dispose();

    // The way back: the old release keeps what the new one's tables hold from being touched, and takes events meanwhile.
    service = await startOld(data, { SHUTDOWN_TIMEOUT: "1" });
    await accepted(service, 20_000, 100);
    await until("the old release to refuse the newer schema", async () => {
      const { reasons } = (await (await fetch(`${service.url}/api/pipeline`)).json()) as { reasons: string[] };
      return reasons.some((reason) => reason.includes("written by a newer one"));
    });
    await service.stop();
    await service.dispose();
    // As docs/upgrading.md says: the copy from before the upgrade, and the journal of now.
    // Under other names: numbers of segments come again.
    for (const name of readdirSync(join(data, "journal")).filter((each) => /\.(seg|notes)$/.test(each))) {
      cpSync(join(data, "journal", name), join(before, "journal", `later-${name}`));
    }
    service = await startOld(before);
    await idle(service);
    await expectOnce(service, [...values, ...range(20_000, 100)]);
    await service.stop();
    await service.dispose();
  },
  180_000,
);
