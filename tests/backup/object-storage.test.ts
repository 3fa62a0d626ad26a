import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { startObjectStore } from "../../testing/object-store.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { command, createFolder, serveRestored, verifyStored } from "./rig.ts";

const folder = createFolder();
const store = startObjectStore("backups", "writer");
const keys = { AWS_ACCESS_KEY_ID: "writer", AWS_SECRET_ACCESS_KEY: "secret", AWS_ENDPOINT: store.url };
const at = (name: string): string => join(folder.path, name);
let service: Service;

const eventsFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, index) => ({ device_id: "d", event_type: "type-1", value_float: first + index }));
const range = (count: number): number[] => Array.from({ length: count }, (_, value) => value);
const backup = (...words: string[]) => command("backup", service.dataDirectory, words, keys).result;
const restore = (target: string, from: string) => command("restore", at(target), [from], keys).result;

beforeAll(async () => {
  service = await startService();
  expect((await service.ingest(eventsFrom(0, 5_000), { query: "?wait=stored" })).status).toBe(200);
}, 60_000);

afterAll(async () => {
  await service.dispose();
  await store.stop();
  folder.remove();
});

test("a backup in object storage is restored elsewhere, whole; the next one sends only what is new", async () => {
  expect(await backup("s3://backups/plant/monday")).toMatchObject({ code: 0, complaint: "" });
  // Nothing is a backup before everything that it names is there.
  expect(store.puts.at(-1)).toBe("plant/monday/manifest.json");
  expect(store.puts.filter((key) => key.endsWith("manifest.json"))).toHaveLength(1);
  await until("the snapshot to be let go", () => readdirSync(join(service.dataDirectory, "snapshots")).length === 0);

  expect((await service.ingest(eventsFrom(5_000, 10))).status).toBe(202);
  const second = await backup("s3://backups/plant/tuesday");
  expect(Number(/of which (\d+) were there already/.exec(second.out)?.[1])).toBeGreaterThan(10_000);
  expect(new Set(store.puts).size).toBe(store.puts.length);
  expect((await backup("--check", "s3://backups/plant/tuesday")).code).toBe(0);

  expect(await restore("tuesday", "s3://backups/plant/tuesday")).toMatchObject({ code: 0 });
  const restored = await serveRestored(at("tuesday"));
  expect(await verifyStored(restored, range(5_010)).finally(() => restored.dispose())).toBe(5_010);
  expect(readdirSync(folder.path).sort()).toEqual(["tuesday"]);
}, 120_000);

test("what is taken, misspelt, damaged, unfinished or forbidden is refused in a sentence", async () => {
  const refuse = async (result: Promise<{ code: number; complaint: string }>, reason: string): Promise<void> => {
    const { code, complaint } = await result;
    expect([code, complaint.includes(reason) || complaint]).toEqual([1, true]);
  };
  await refuse(backup("s3://backups/plant/monday"), "is a backup already");
  await refuse(backup("s3://backups"), "is not of the form s3://BUCKET/PATH/NAME");
  await refuse(backup("s3://backups/plant/objects"), "where the files of all backups lie");
  await refuse(backup("s3://elsewhere/plant/monday"), "cannot be");
  const denied = command("backup", service.dataDirectory, ["s3://backups/x/y"], {
    ...keys,
    AWS_ACCESS_KEY_ID: "other",
  });
  await refuse(denied.result, "s3://backups/x/y cannot be");
  expect((await backup("s3://backups/plant/friday", "--base", at("monday"))).code).toBe(2);

  await refuse(restore("never", "s3://backups/plant/sunday"), "it is none, or was not finished");
  const largest = [...store.objects].sort(([, a], [, b]) => b.length - a.length)[0];
  if (largest === undefined) throw new Error("the store is empty");
  const [key, whole] = largest;
  store.set(
    key,
    whole.map((byte, index) => (index === 100 ? byte ^ 1 : byte)),
  );
  await refuse(restore("never", "s3://backups/plant/tuesday"), "is not what was written");
  store.set(key, undefined);
  await refuse(restore("never", "s3://backups/plant/tuesday"), "cannot be read");
  store.set(key, whole);
  expect(
    existsSync(at("never")) ? readdirSync(at("never")).filter((name) => !name.startsWith("service.lock")) : [],
  ).toEqual([]);
  expect(readdirSync(folder.path).filter((name) => name.startsWith("sluice-backup-"))).toEqual([]);
}, 60_000);
