import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const directory = mkdtempSync(join(tmpdir(), "sluice-alerts-cli-"));
const asked: { path: string; body: unknown; authorization: string | null }[] = [];
const alert = {
  id: "1",
  rule_id: "r",
  rule: "too hot",
  severity: "critical",
  device_id: "boiler-7",
  state: "firing",
  since: "2026-01-01T00:00:00.000Z",
  started_at: "2026-01-01T00:00:00.000Z",
  value: 99,
  message: "boiler-7 is at 99",
  silenced: false,
  acknowledged: null,
};
const answers: Readonly<Record<string, unknown>> = {
  "/api/alerts": { alerts: [alert], total: 3, counts: { critical: 3, warning: 0, info: 0 }, cursor: null },
  "/api/alerts/rules": {
    rules: [{ name: "too hot", severity: "critical", when: { kind: "value" }, firing: 1, series: 9, source: "file" }],
    total: 1,
  },
  "/api/alerts/rules/test": { fired: [], count: 0, from: "a", to: "b", series: 2, resolution_seconds: 0 },
};
const service = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    const body = request.method === "POST" ? await request.json() : null;
    asked.push({ path: `${pathname}${search}`, body, authorization: request.headers.get("authorization") });
    if (request.headers.get("authorization") === "Bearer wrong") {
      return Response.json({ error: { code: "forbidden", message: "this key may not read" } }, { status: 403 });
    }
    return Response.json(answers[pathname]);
  },
});
afterAll(async () => {
  await service.stop(true);
  rmSync(directory, { recursive: true });
});

async function alerts(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "sluice.ts"), "alerts", ...args], {
    env: {
      PATH: process.env.PATH ?? "",
      HOST: "127.0.0.1",
      PORT: String(service.port),
      SLUICE_KEY: "from-environment",
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

test("what fires is listed, filtered by the service, and an exit code where one is asked for", async () => {
  const listed = await alerts("--severity", "critical", "--device", "boiler-7");
  expect(listed).toMatchObject({ code: 0, err: "" });
  expect(listed.out).toContain("critical  firing  2026-01-01T00:00:00.000Z  too hot  boiler-7  boiler-7 is at 99\n");
  expect(listed.out).toContain("3 alerts, 2 not shown\n");
  expect(asked.at(-1)).toMatchObject({
    path: "/api/alerts?severity=critical&device_id=boiler-7",
    authorization: "Bearer from-environment",
  });
  expect((await alerts("--fail", "--json")).code).toBe(1);
});

test("rules are listed, and tried", async () => {
  expect((await alerts("rules")).out).toBe("critical  too hot  value  1 of 9 fire  of ALERTS_FILE\n1 rules\n");
  const file = join(directory, "rule.json");
  writeFileSync(file, '{"name":"r"}');
  expect((await alerts("test", file, "--from", "a")).out).toContain("fired 0 times");
  expect(asked.at(-1)).toMatchObject({ path: "/api/alerts/rules/test", body: { rule: { name: "r" }, from: "a" } });
});

test("a file of rules is looked at whole, and each fault has its place", async () => {
  const good = join(directory, "good.json");
  const rule = { name: "r", severity: "info", when: { kind: "silent", after: "5m" } };
  writeFileSync(good, JSON.stringify({ rules: [rule] }));
  expect(await alerts("validate", good)).toMatchObject({ code: 0, out: `${good}: 1 rules, 0 channels, 0 silences\n` });
  const wrong = join(directory, "wrong.json");
  writeFileSync(wrong, JSON.stringify({ rules: [{ ...rule, severity: "loud" }] }));
  expect(await alerts("validate", wrong)).toMatchObject({ code: 1, err: expect.stringContaining("/rules/0/severity") });
  writeFileSync(wrong, JSON.stringify({ rules: [{ ...rule, when: { kind: "text", event_type: "t", matches: "(" } }] }));
  expect(await alerts("validate", wrong)).toMatchObject({ code: 1, err: expect.stringContaining("/rules/0/when") });
  writeFileSync(wrong, "{");
  expect((await alerts("validate", wrong)).code).toBe(1);
});

test("a refusal is the service's own words, and a wrong word one line", async () => {
  expect(await alerts("--key", "wrong")).toMatchObject({
    code: 1,
    err: expect.stringContaining("403: this key may not"),
  });
  expect(await alerts("explode")).toMatchObject({ code: 2 });
  expect(await alerts("--url", "http://127.0.0.1:1")).toMatchObject({ code: 1 });
});
