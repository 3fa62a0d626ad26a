import { expect, test } from "bun:test";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { mountSmallDisk } from "./small-disk.ts";

/** A real file system that other files fill: nothing that was accepted is lost, and the service serves again when there is room. */
const MiB = 2 ** 20;
const disk = mountSmallDisk(256 * MiB);
if (disk === null) process.stderr.write("full-disk: no file system can be mounted here\n");

const events = (from: number, count: number): unknown[] =>
  Array.from({ length: count }, (_, index) => ({
    device_id: `d${index % 5}`,
    event_type: "t",
    value_float: from + index,
  }));

const reasons = async (service: Service): Promise<string> => {
  const body = (await (await fetch(`${service.url}/api/pipeline`)).json()) as { reasons: string[] };
  return body.reasons.join("; ");
};

const drained = (service: Service): Promise<unknown> =>
  until(
    "everything to be stored",
    async () => {
      const body = (await (await fetch(`${service.url}/api/pipeline`)).json()) as {
        pending: number;
        clickhouse: string;
      };
      return body.pending === 0 && body.clickhouse === "ok";
    },
    90_000,
  );

async function expectOnce(service: Service, count: number): Promise<void> {
  const query = "SELECT count() AS n, uniqExact(value_float) AS once FROM telemetry_events";
  expect(await service.sql(query)).toEqual([{ n: count, once: count }]);
  expect(await service.sql("SELECT sum(event_count) AS n FROM telemetry_1s")).toEqual([{ n: count }]);
}

const drafts = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".new"));

test.skipIf(disk === null)(
  "a disk that others fill: inserts wait, events are accepted to the last, a start with 0 bytes free starts, and all is stored once",
  async () => {
    if (disk === null) return;
    const data = join(disk.path, "data");
    mkdirSync(data);
    let service = await startService({ DATA_DIR: data });
    try {
      expect((await service.ingest(events(0, 1_000))).status).toBe(202);
      await drained(service);

      // Nearly full: the engine is given nothing, the journal goes on.
      disk.fill(4 * MiB);
      expect((await service.ingest(events(1_000, 1_000))).status).toBe(202);
      await until(
        "inserts to wait",
        async () => (await reasons(service)).includes("inserting waits: the disk of DATA_DIR"),
        60_000,
      );
      expect((await service.ingest(events(2_000, 1_000))).status).toBe(202);
      expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
      const metrics = await (await fetch(`${service.url}/metrics`)).text();
      expect(metrics).toContain("sluice_inserts_paused 1");

      // Full, and killed: it starts, says so, and refuses what it cannot keep.
      await service.kill();
      disk.fill(0);
      service = await service.restart();
      const refused = await service.ingest(events(9_000, 1_000));
      expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([
        503,
        "journal_failed",
      ]);
      expect(drafts(data)).toEqual([]);
      await service.kill();
      service = await service.restart();

      disk.empty();
      await drained(service);
      await expectOnce(service, 3_000);
      expect((await service.ingest(events(3_000, 1_000))).status).toBe(202);
      await drained(service);
      expect(await reasons(service)).toBe("");
      await expectOnce(service, 4_000);
    } finally {
      await service.dispose();
      disk.remove();
    }
  },
  180_000,
);
