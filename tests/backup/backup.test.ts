import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { command, createFolder, serveRestored, startLoad, verifyStored } from "./rig.ts";
import { runRounds } from "./rounds.ts";

const folder = createFolder();
afterAll(() => folder.remove());
const at = (name: string): string => join(folder.path, name);
const password = "engine-password-0123";

/** Once the engine is there, and its tables are. */
const admin = (service: Service, body: string): Promise<unknown> =>
  until(
    body,
    async () => {
      const url = `${service.clickHouseUrl}/?user=default&password=${password}`;
      return (await fetch(url, { method: "POST", body }).catch(() => undefined))?.ok;
    },
    60_000,
  );

test("a backup under load, the original destroyed, restored elsewhere: every event acknowledged before is there once", async () => {
  const service = await startService({ CLICKHOUSE_PASSWORD: password });
  const load = startLoad(service, 5_000);
  try {
    await until("some events", () => load.acknowledged.size > 5_000);
    await admin(
      service,
      "ALTER TABLE telemetry_events ADD CONSTRAINT poison CHECK value_float IS NULL OR value_float != -666",
    );
    await service.ingest({ device_id: "bad", event_type: "bad", value_float: -666 });
    await until(
      "a dead letter",
      () =>
        existsSync(join(service.dataDirectory, "dead-letter")) &&
        readdirSync(join(service.dataDirectory, "dead-letter")).some((name) => name.endsWith(".ndjson")),
      60_000,
    );
    mkdirSync(join(service.dataDirectory, "state"), { recursive: true });
    const state = new Database(join(service.dataDirectory, "state", "sluice.db"), { create: true });
    state.run("PRAGMA journal_mode = WAL");
    state.run("CREATE TABLE IF NOT EXISTS kept (name TEXT)");
    state.run("INSERT INTO kept VALUES ('a rule')");

    const before = [...load.acknowledged];
    expect(await command("backup", service.dataDirectory, [at("first")]).result).toMatchObject({ code: 0 });
    const between = [...load.acknowledged];
    expect(between.length).toBeGreaterThan(before.length);
    const second = await command("backup", service.dataDirectory, [at("second"), "--base", at("first")]).result;
    expect(second.code).toBe(0);
    state.close();
    // Nothing of a snapshot stays behind.
    await until("the snapshot to be let go", () => readdirSync(join(service.dataDirectory, "snapshots")).length === 0);
    await load.stop();
    await service.dispose();

    for (const [name, expected] of [
      ["first", before],
      ["second", between],
    ] as const) {
      const target = at(`restored-${name}`);
      expect(await command("restore", target, [at(name)]).result).toMatchObject({ code: 0 });
      const restored = await serveRestored(target);
      try {
        expect(await verifyStored(restored, expected)).toBeGreaterThanOrEqual(expected.length);
        expect(readFileSync(join(target, "access", "sessions.json"))).toEqual(
          readFileSync(join(at(name), "access", "sessions.json")),
        );
        const letters = readdirSync(join(target, "dead-letter")).filter((file) => file.endsWith(".ndjson"));
        expect(readFileSync(join(target, "dead-letter", letters[0] as string), "utf8")).toContain("-666");
        const kept = new Database(join(target, "state", "sluice.db"), { readonly: true });
        expect(kept.query("SELECT name FROM kept").all()).toEqual([{ name: "a rule" }]);
        kept.close();
      } finally {
        await restored.dispose();
      }
    }
  } finally {
    await load.stop();
    await service.dispose();
  }
}, 120_000);

test("an incremental backup links what the earlier one has, and stands without it", async () => {
  const service = await startService({ CLICKHOUSE_PASSWORD: password });
  try {
    // A part that is merged is another part, and is copied.
    await admin(service, "SYSTEM STOP MERGES");
    const events = Array.from({ length: 5_000 }, (_, value) => ({
      device_id: "d",
      event_type: "type-1",
      value_float: value,
    }));
    expect((await service.ingest(events, { query: "?wait=stored" })).ok).toBe(true);
    expect((await command("backup", service.dataDirectory, [at("base")]).result).code).toBe(0);
    const later = await command("backup", service.dataDirectory, [at("later"), "--base", at("base")]).result;
    expect(Number(/of which (\d+) are linked/.exec(later.out)?.[1])).toBeGreaterThan(10_000);
    const part = readdirSync(at("later/tables/telemetry_events"))[0] as string;
    expect(statSync(at(`later/tables/telemetry_events/${part}/data.bin`)).nlink).toBe(2);
    expect(statSync(at("later/tables/telemetry_events")).isDirectory()).toBe(true);
    Bun.spawnSync(["rm", "-rf", at("base")]);
    expect((await command("backup", service.dataDirectory, ["--check", at("later")]).result).code).toBe(0);
  } finally {
    await service.dispose();
  }
}, 60_000);

test("a damaged, foreign or unfinished backup is refused whole, and a directory with something in it stays as it is", async () => {
  const refuse = async (backup: string, reason: string, target = at("nothing")): Promise<void> => {
    const result = await command("restore", target, [backup]).result;
    expect(result).toMatchObject({ code: 1, out: "" });
    expect(result.complaint).toContain(reason);
    if (existsSync(target)) expect(readdirSync(target).filter((name) => !name.startsWith("service.lock"))).toEqual([]);
  };
  const later = at("later");
  const segment = readdirSync(join(later, "tables/telemetry_events"))[0] as string;
  const victim = join(later, "tables/telemetry_events", segment, "data.bin");
  const whole = readFileSync(victim);

  writeFileSync(
    victim,
    whole.map((byte, index) => (index === 100 ? byte ^ 1 : byte)),
  );
  await refuse(later, "is not what was written");
  truncateSync(victim, 50);
  await refuse(later, "has 50 bytes");
  Bun.spawnSync(["rm", victim]);
  await refuse(later, "is missing");
  writeFileSync(victim, whole);

  const manifest = readFileSync(join(later, "manifest.json"), "utf8");
  writeFileSync(join(later, "manifest.json"), manifest.replace('"rows":"5000"', '"rows":"5001"'));
  await refuse(later, "manifest.json is damaged");
  const [body = ""] = manifest.split("\n");
  const signed = (text: string): string =>
    `${text}\n${new Bun.CryptoHasher("sha256").update(`${text}\n`).digest("hex")}\n`;
  writeFileSync(join(later, "manifest.json"), signed(body.replace('"version":1', '"version":2')));
  await refuse(later, "newer release");
  writeFileSync(join(later, "manifest.json"), signed(body.replace('"path":"tables/', '"path":"../tables/')));
  await refuse(later, "is not one of Sluice's");
  writeFileSync(join(later, "manifest.json"), signed(body.replace('"rows":"5000"', '"rows":"4999"')));
  const wrong = await command("restore", at("wrong"), [later]).result;
  expect(wrong).toMatchObject({ code: 1 });
  expect(wrong.complaint).toContain("rows is 5000, and was 4999");
  writeFileSync(join(later, "manifest.json"), manifest);
  await refuse(folder.path, "it has no manifest.json");

  mkdirSync(at("full"));
  writeFileSync(at("full/notes.txt"), "mine");
  const full = await command("restore", at("full"), [later]).result;
  expect(full.complaint).toContain("is not empty");
  expect(readFileSync(at("full/notes.txt"), "utf8")).toBe("mine");
}, 60_000);

test("a restore that failed leaves a directory that the service refuses, and another restore begins anew", async () => {
  const target = at("wrong");
  const child = Bun.spawnSync([process.execPath, "server/main.ts"], {
    cwd: join(import.meta.dir, "../.."),
    env: { PATH: process.env.PATH ?? "", DATA_DIR: target, PORT: "0", EMBEDDED_CLICKHOUSE_PORT: "0" },
  });
  expect(child.exitCode).toBe(2);
  expect(child.stderr.toString()).toContain("a restore into it was not finished");
  expect(await command("restore", target, [at("later")]).result).toMatchObject({ code: 0 });
  const restored = await serveRestored(target);
  try {
    expect(
      await verifyStored(
        restored,
        Array.from({ length: 5_000 }, (_, value) => value),
      ),
    ).toBe(5_000);
  } finally {
    await restored.dispose();
  }
}, 60_000);

test("backups are made by the schedule and kept by number", async () => {
  const root = at("scheduled");
  const service = await startService({ BACKUP_DIR: root, BACKUP_INTERVAL: "1m", BACKUP_KEEP: "2" });
  try {
    expect((await service.ingest({ device_id: "d", event_type: "type-1", value_float: 0 })).status).toBe(202);
    await until(
      "a first backup",
      () => existsSync(root) && readdirSync(root).some((name) => existsSync(join(root, name, "manifest.json"))),
      30_000,
    );
    const [name] = readdirSync(root) as [string];
    expect((await command("backup", service.dataDirectory, ["--check", join(root, name)]).result).code).toBe(0);
    expect(service.log()).toContain("a backup was made");
  } finally {
    await service.dispose();
  }
}, 60_000);

test("SIGKILL in a backup and in a restore: whole or refused", async () => {
  const { backupsCut, backupsWhole, restoresCut, restoresWhole } = await runRounds(1, 7, () => undefined);
  expect(backupsCut + backupsWhole).toBe(1);
  expect(restoresCut + restoresWhole).toBe(1);
}, 120_000);

test("a backup from before the engine has its first table holds all events in the journal", async () => {
  // The engine is the slowest to start; what comes before it is in the journal.
  const service = await startService();
  try {
    const events = Array.from({ length: 500 }, (_, value) => ({
      device_id: "d",
      event_type: "type-1",
      value_float: value,
    }));
    expect((await service.ingest(events)).status).toBe(202);
    expect((await command("backup", service.dataDirectory, [at("early")]).result).code).toBe(0);
    expect(await command("restore", at("early-data"), [at("early")]).result).toMatchObject({ code: 0 });
    const restored = await serveRestored(at("early-data"));
    expect(await verifyStored(restored, range(500)).finally(() => restored.dispose())).toBe(500);
  } finally {
    await service.dispose();
  }
}, 120_000);

const range = (count: number): number[] => Array.from({ length: count }, (_, value) => value);
