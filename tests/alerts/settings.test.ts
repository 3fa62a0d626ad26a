import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { alertsOf } from "./rig.ts";

const directory = mkdtempSync(join(tmpdir(), "sluice-alerts-file-"));
const file = join(directory, "alerts.json");
const rule = (name: string, above: number) => ({
  name,
  severity: "warning",
  when: { kind: "value", event_type: "t", measure: "last", above },
});
const write = (value: unknown) => writeFileSync(file, typeof value === "string" ? value : JSON.stringify(value));
const bearer = (key: string) => ({ Authorization: `Bearer ${key}` });
const editor = bearer("editor-secret-0123456789");
const viewer = bearer("viewer-secret-0123456789");
let service: Service | undefined;
afterAll(async () => {
  await service?.dispose();
  rmSync(directory, { recursive: true });
});

test("rules of ALERTS_FILE, editor keys, and what each may do", async () => {
  write({ rules: [rule("from file", 10)] });
  service = await startService({
    ALERTS_FILE: file,
    VIEWER_KEYS: "v:viewer-secret-0123456789",
    EDITOR_KEYS: "e:editor-secret-0123456789",
  });
  const { url, pid } = service;
  const api = alertsOf(service, editor);
  const names = async () =>
    (await api.call<{ rules: { name: string; source: string; id: string }[] }>("GET", "/rules")).rules;
  const [fromFile] = await names();
  expect(fromFile).toMatchObject({ name: "from file", source: "file" });

  const status = async (method: string, path: string, headers: Record<string, string>, body?: unknown) => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(`${url}/api/alerts${path}`, {
      method,
      headers: { "Content-Type": "application/json", ...headers },
      ...init,
    });
    return response.status;
  };
  expect(await status("GET", "/rules", {})).toBe(401);
  expect(await status("GET", "/rules", viewer)).toBe(200);
  expect(await status("POST", "/rules", viewer, rule("x", 1))).toBe(403);
  expect(await status("POST", "/rules/test", viewer, { rule: rule("x", 1) })).not.toBe(403);
  expect(await status("POST", "/rules", editor, rule("mine", 1))).toBe(201);
  expect(await status("DELETE", `/rules/${fromFile?.id}`, editor)).toBe(409);
  expect(await status("PUT", `/rules/${fromFile?.id}`, editor, rule("from file", 2))).toBe(409);
  const audit = await alertsOf(service, viewer).call<{ changes: { who: string; action: string }[] }>("GET", "/audit");
  expect(audit.changes.map(({ who, action }) => `${who}: ${action}`)).toEqual([
    "e: create rule",
    "ALERTS_FILE: read file",
  ]);

  // A wrong file changes nothing; a right one takes the place of what was in it before.
  write({ rules: [rule("new", 5), { ...rule("bad", 5), severity: "loud" }] });
  process.kill(pid, "SIGHUP");
  await until("the complaint", () => service?.log().includes("rules.1.severity must be one of"));
  expect((await names()).map(({ name }) => name).sort()).toEqual(["from file", "mine"]);
  write({ rules: [rule("new", 5)] });
  process.kill(pid, "SIGHUP");
  await until("the new rule", async () => (await names()).some(({ name }) => name === "new"));
  expect((await names()).map(({ name }) => name).sort()).toEqual(["mine", "new"]);
}, 120_000);

test("a file that is wrong stops the start with one line", async () => {
  write({ rules: [{ ...rule("bad", 5), for: "soon" }] });
  await expect(startService({ ALERTS_FILE: file })).rejects.toThrow(
    `ALERTS_FILE=${file}: rules.0.for must be a duration: 500ms, 30s, 5m, 1h, 7d`,
  );
}, 60_000);

test("metrics say what fires and what waits", async () => {
  if (service === undefined) throw new Error("no service");
  const text = await (await fetch(`${service.url}/metrics`, { headers: viewer })).text();
  expect(text).toContain('sluice_alerts_firing{severity="critical"} 0');
  expect(text).toContain("sluice_alert_messages_waiting 0");
});
