import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type IngestStub, type StubAnswer, startIngestStub } from "../../testing/ingest-stub.ts";
import { totalsOf, totalsRecord } from "./totals.ts";

const stubs: IngestStub[] = [];
afterEach(async () => {
  for (const stub of stubs.splice(0)) await stub.stop();
});

async function stub(script: readonly StubAnswer[]): Promise<IngestStub> {
  const started = await startIngestStub(script);
  stubs.push(started);
  return started;
}

function start(program: "device" | "simulate", argv: readonly string[]) {
  return Bun.spawn([process.execPath, `${import.meta.dir}/../sluice.ts`, program, ...argv], {
    env: { ...process.env, SLUICE_KEY: "from-environment" },
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function outcome(child: ReturnType<typeof start>) {
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, out, err };
}

test("the device loses nothing to a service that refuses, breaks and loses answers", async () => {
  const service = await stub([{ status: 503 }, "drop", "lose"]);
  const child = start("device", ["--url", service.url, "--device", "me", "--interval", "0.1", "--seconds", "0.5"]);
  const { code, out } = await outcome(child);
  expect(code).toBe(0);
  const events = service.events();
  expect(out).toContain(`${events.length} of ${events.length} events acknowledged`);
  // What waited while the service failed goes out together.
  expect(service.stored.size).toBeGreaterThanOrEqual(2);
  expect(new Set(events.map(({ device_id }) => device_id))).toEqual(new Set(["me"]));
  expect(new Set(events.map(({ timestamp }) => timestamp)).size).toBeGreaterThanOrEqual(3);
  expect(new Set(events.map((event) => JSON.stringify(event))).size).toBe(events.length);
  expect(service.authorizations[0]).toBe("Bearer from-environment");
});

test("the device answers SIGTERM by sending what waits, and exits 0", async () => {
  // Ten minutes: what was refused goes out because of the signal, or never.
  const service = await stub([{ status: 503, headers: { "Retry-After": "600" } }]);
  const child = start("device", ["--url", service.url, "--interval", "0.1"]);
  const decoder = new TextDecoder();
  let out = "";
  for await (const chunk of child.stdout) {
    const told = out.includes("answers 503");
    out += decoder.decode(chunk, { stream: true });
    // Once: a second signal ends the process where it stands.
    if (!told && out.includes("answers 503")) child.kill("SIGTERM");
  }
  expect(await child.exited).toBe(0);
  expect(service.events().length).toBeGreaterThan(0);
  expect(out).toContain(`${service.events().length} of ${service.events().length} events acknowledged`);
});

test("the device keeps what waits in its spool for the next run", async () => {
  const spool = mkdtempSync(join(tmpdir(), "sluice-device-spool-"));
  const argv = ["--interval", "0.1", "--seconds", "0.3", "--spool", spool];
  const away = await outcome(start("device", ["--url", "http://127.0.0.1:1", ...argv]));
  expect([away.code, away.out]).toEqual([0, expect.stringMatching(/0 of \d+ events acknowledged, \d+ wait in /)]);
  const service = await stub([]);
  const back = await outcome(start("device", ["--url", service.url, ...argv]));
  expect([back.code, back.out]).toEqual([0, expect.stringMatching(/(\d+) of \1 events acknowledged\n/)]);
  const waited = Number(/(\d+) wait in/.exec(away.out)?.[1]);
  expect(waited).toBeGreaterThan(0);
  expect(service.events().length).toBeGreaterThan(waited);
  rmSync(spool, { recursive: true });
}, 20_000);

test("a refused key ends the device with a line that says so", async () => {
  const service = await stub(Array(100).fill({ status: 401 }));
  const { code, out } = await outcome(start("device", ["--url", service.url, "--interval", "0.1"]));
  expect(code).toBe(1);
  expect(out).toContain("--key");
});

test("the fleet's acknowledged totals are what the service has, faults or not", async () => {
  const service = await stub(["drop", "lose", { status: 503 }, { status: 429 }, "accept", "lose"]);
  const argv = ["--rate", "2000", "--seconds", "0.5", "--devices", "100", "--batch", "30", "--seed", "4", "--json"];
  const { code, out } = await outcome(start("simulate", ["--url", service.url, ...argv]));
  const result: unknown = JSON.parse(out);
  expect(code).toBe(0);
  expect(service.events()).toHaveLength(1000);
  expect(result).toMatchObject({
    offered: 1000,
    acknowledged: 1000,
    given_up: 0,
    refused_requests: 2,
    unreachable_requests: 3,
    types: totalsRecord(totalsOf(service.events())),
  });
});

test("the fleet's exit code says that events were given up", async () => {
  const service = await stub([{ status: 422 }]);
  const argv = ["--rate", "100", "--seconds", "0.2", "--devices", "10", "--batch", "10"];
  const { code, out } = await outcome(start("simulate", ["--url", service.url, ...argv]));
  expect(code).toBe(1);
  expect(out).toContain("10 of 20 events acknowledged, 10 given up");
});

test.each(["device", "simulate"] as const)(
  "%s explains itself, and refuses what it does not understand",
  async (name) => {
    const help = await outcome(start(name, ["--help"]));
    expect([help.code, help.out.includes("--url")]).toEqual([0, true]);
    const wrong = await outcome(start(name, ["--seconds", "soon"]));
    expect([wrong.code, wrong.err]).toEqual([2, '--seconds "soon": not allowed; use a number of seconds from 0.1\n']);
  },
);
