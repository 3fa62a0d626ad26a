import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkJournal } from "../../cli/journal-check.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { encodeFileHeader, encodeFrameHeader, fileHeaderBytes, frameHeaderBytes } from "../../workers/journal/frame.ts";

const root = join(import.meta.dir, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

let service: Service;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sluice-operations-"));
  service = await startService({ CLICKHOUSE_PASSWORD: "engine-password-0123", REDIS_URL: "" });
});
afterAll(async () => {
  await service.dispose();
  rmSync(directory, { recursive: true, force: true });
});

async function sluice(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, "cli/sluice.ts", ...args], {
    cwd: root,
    env: {
      PATH: process.env.PATH ?? "",
      DATA_DIR: service.dataDirectory,
      CLICKHOUSE_PASSWORD: "engine-password-0123",
      INGEST_KEYS: "fleet:ingest-secret-0123",
      REDIS_URL: "redis://user:redis-password-0123@127.0.0.1:6379",
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

/** A journal of one segment with three frames of a row each. */
function writeSegment(): string {
  const kind = "segment";
  const ids = { journalId: "0123456789abcdef", nonce: "fedcba9876543210" };
  const { bytes, seed } = encodeFileHeader({ kind, ...ids, number: 1, createdAtMs: 0, ownStates: true });
  const frames = [0, 1, 2].map((position) => {
    const rows = Buffer.from(`row ${position}`);
    const head = Buffer.alloc(frameHeaderBytes);
    encodeFrameHeader(head, seed, { rows, meta: new Uint8Array(0), rowCount: 1, position });
    return Buffer.concat([head, rows]);
  });
  mkdirSync(join(directory, "journal"));
  const path = join(directory, "journal", "0000000000000001.seg");
  writeFileSync(path, Buffer.concat([bytes, ...frames]));
  return path;
}

/** Names of series that PromQL expressions use. */
function usedNames(text: string): string[] {
  const names = text.match(/\b(?:sluice|process|nodejs)_[a-z0-9_]+\b/g) ?? [];
  return [...new Set(names)].filter((name) => name !== "sluice_viewer_key");
}

test("every metric that the dashboard and the alerts use exists", async () => {
  const accepted = await service.ingest({ device_id: "a", event_type: "t", value_float: 1 }, { query: "?wait=stored" });
  expect(accepted.status).toBe(200);
  const refused = await service.ingest({});
  expect(refused.status).toBe(422);
  const text = await until("an insert in /metrics", async () => {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    return /^sluice_insert_duration_seconds_count [1-9]/m.test(metrics) ? metrics : undefined;
  });
  const series = new Set([...text.matchAll(/^([a-z][a-z0-9_]*)[ {]/gm)].map((match) => match[1]));

  const dashboard = JSON.parse(read("deploy/grafana-dashboard.json")) as { panels: { targets: { expr: string }[] }[] };
  const expressions = dashboard.panels.flatMap((panel) => panel.targets.map((target) => target.expr)).join("\n");
  const alerts = [...read("deploy/prometheus-alerts.yml").matchAll(/^ +expr: (.+)$/gm)]
    .map((match) => match[1])
    .join("\n");
  const used = [...usedNames(expressions), ...usedNames(alerts)];
  expect(used.length).toBeGreaterThan(30);
  expect(used.filter((name) => !series.has(name))).toEqual([]);

  // And each of ours says what it is, in the units that convention asks for.
  for (const name of [...series].filter((each) => each?.startsWith("sluice_"))) {
    const base = name?.replace(/_(bucket|sum|count)$/, "");
    expect(text.includes(`# HELP ${name} `) || text.includes(`# HELP ${base} `)).toBe(true);
    expect(name).not.toMatch(/_(ms|milliseconds|kb|mb|minutes)(_|$)/);
  }
  for (const [, name] of text.matchAll(/^# TYPE (sluice_\S+) counter$/gm)) expect(name).toEndWith("_total");
});

test("labels that the alerts select exist", async () => {
  const text = await (await fetch(`${service.url}/metrics`)).text();
  for (const label of ['state="denied"', 'state="unavailable"', 'reason="forbidden"', 'reason="sign_in_throttled"']) {
    expect(text).toContain(label);
  }
  expect(text).toContain('sluice_http_request_duration_seconds_count{route="/ingest",status="2xx"}');
  expect(text).toContain('sluice_events_rejected_total{reason="invalid_events"}');
});

test("every alert has its section in the runbook, and every section is linked", () => {
  const alerts = read("deploy/prometheus-alerts.yml");
  const runbook = read("docs/operations.md");
  const names = [...alerts.matchAll(/- alert: (\w+)/g)].map((match) => match[1] as string);
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) {
    expect(runbook).toContain(`### ${name}\n`);
    expect(alerts).toContain(`docs/operations.md#${name.toLowerCase()}"`);
  }
  for (const [, name] of runbook.matchAll(/^### (Sluice\w+)$/gm)) expect(names).toContain(name as string);
});

test.skipIf(!existsSync("/usr/bin/systemd-analyze"))(
  "the unit file is one that systemd takes, and well confined",
  () => {
    const unit = join(directory, "sluice.service");
    // Only its program is not where the unit says.
    writeFileSync(unit, read("deploy/sluice.service").replace(/^ExecStart=.*$/m, "ExecStart=/bin/true"));
    const verified = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", unit]);
    expect(verified.stderr.toString()).toBe("");
    expect(verified.exitCode).toBe(0);
    const confined = Bun.spawnSync(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit]);
    expect(confined.exitCode).toBe(0);
  },
);

test("sluice config shows every setting and no secret", async () => {
  const { code, out } = await sluice("config");
  expect(code).toBe(0);
  expect(out).toContain(`DATA_DIR=${service.dataDirectory}\n`);
  expect(out).toContain("INGEST_KEYS=********\n");
  for (const secret of ["ingest-secret-0123", "engine-password-0123", "redis-password-0123"]) {
    expect(out).not.toContain(secret);
  }
});

test("sluice journal check passes a whole journal of a running service and finds a damaged byte", async () => {
  const whole = await sluice("journal", "check");
  expect(whole).toMatchObject({ code: 0, err: "" });
  expect(whole.out).toContain(" 0 with damage\n");

  const segment = writeSegment();
  expect(checkJournal(directory).map(({ rows, damagedBytes, fault }) => ({ rows, damagedBytes, fault }))).toEqual([
    { rows: 3, damagedBytes: 0, fault: null },
  ]);
  const bytes = readFileSync(segment);
  const insideFirstFrame = fileHeaderBytes + frameHeaderBytes + 2;
  bytes.writeUInt8(bytes.readUInt8(insideFirstFrame) ^ 0xff, insideFirstFrame);
  writeFileSync(segment, bytes);
  const [damaged] = checkJournal(directory);
  expect(damaged?.rows).toBe(2);
  expect(damaged?.damagedBytes).toBeGreaterThan(0);
});

test("sluice keys rotate replaces one secret, keeps the rest of the file and its mode", async () => {
  const file = join(directory, "keys");
  writeFileSync(file, "# fleet\nfleet:old-secret-0123456789:site1:\nother:other-secret-0123456789\n", { mode: 0o640 });
  const { code, out } = await sluice("keys", "rotate", file, "fleet");
  expect(code).toBe(0);
  const secret = out.trim().split("\n").at(-1) as string;
  expect(secret).toMatch(/^[\w-]{32}$/);
  expect(readFileSync(file, "utf8")).toBe(`# fleet\nfleet:${secret}:site1:\nother:other-secret-0123456789\n`);
  expect(statSync(file).mode & 0o777).toBe(0o640);
  expect((await sluice("keys", "list", file)).out).toBe("fleet\tsite1:\nother\n");
  expect((await sluice("keys", "rotate", file, "bad name")).code).toBe(2);
  expect(readFileSync(file, "utf8")).toContain(secret);
  expect(await sluice("keys", "remove", file, "nobody")).toMatchObject({ code: 2 });
  expect((await sluice("keys", "remove", file, "other")).code).toBe(0);
  expect(readFileSync(file, "utf8")).toBe(`# fleet\nfleet:${secret}:site1:\n`);
  expect((await sluice("keys", "remove", file, "fleet")).err).toContain("nothing was changed");
});

test("sluice dead-letters summary counts by reason", async () => {
  const letter = {
    id: "j-1-0:7",
    at: "2026-01-01T00:00:00.000Z",
    code: 27,
    reason: "Cannot parse",
    event: {
      timestamp: new Date().toISOString(),
      received_at: new Date().toISOString(),
      device_id: "d",
      event_type: "t",
      value_float: 1,
      value_string: null,
      metadata: {},
    },
  };
  const file = join(service.dataDirectory, "dead-letter/2026-01-01.ndjson");
  writeFileSync(file, `${JSON.stringify(letter)}\n`);
  const summary = await sluice("dead-letters", "summary");
  expect(summary.out).toContain("1 dead letters");
  expect(summary.out).toContain("1 × code 27");
});

test("an unknown command and a wrong setting are one line and exit code 2", async () => {
  const unknown = await sluice("explode");
  expect(unknown.code).toBe(2);
  expect(unknown.err.trim().split("\n")).toHaveLength(1);
});
