import { expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startService } from "../../testing/test-service.ts";

const event = (device: string) => ({ device_id: device, event_type: "t", value_float: 1 });
const perDevice = "SELECT device_id, count() AS n FROM telemetry_events GROUP BY device_id ORDER BY device_id";

test("the runbook's backup and restore: the database comes back, and what was accepted since and never stored goes in once", async () => {
  const backup = mkdtempSync(join(tmpdir(), "sluice-backup-"));
  let service = await startService();
  try {
    expect((await service.ingest([event("before"), event("before")], { query: "?wait=stored" })).status).toBe(200);
    expect(await service.stop()).toBe(0);
    const archive = join(backup, "sluice.tar.gz");
    expect(Bun.spawnSync(["tar", "-C", service.dataDirectory, "-czf", archive, "."]).exitCode).toBe(0);

    // Since the backup: a batch that is accepted and never stored, and then the machine goes.
    service = await service.restart({ FLUSH_INTERVAL: "1h" });
    expect((await service.ingest(event("after"))).status).toBe(202);
    await service.kill();

    const broken = join(backup, "broken");
    renameSync(service.dataDirectory, broken);
    mkdirSync(service.dataDirectory, { mode: 0o700 });
    expect(Bun.spawnSync(["tar", "-C", service.dataDirectory, "-xzf", archive]).exitCode).toBe(0);
    cpSync(join(broken, "journal"), join(service.dataDirectory, "journal"), { recursive: true, force: false });

    service = await service.restart({ FLUSH_INTERVAL: "0.05" });
    expect((await service.ingest(event("new"), { query: "?wait=stored" })).status).toBe(200);
    expect(await service.sql<{ device_id: string; n: number }>(perDevice)).toEqual([
      { device_id: "after", n: 1 },
      { device_id: "before", n: 2 },
      { device_id: "new", n: 1 },
    ]);
  } finally {
    await service.dispose();
    rmSync(backup, { recursive: true, force: true });
  }
}, 60_000);
