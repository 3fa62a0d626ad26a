/**
 * Kills the device client and the service at random, one, the other or both in the same moment, while the client sends
 * numbered events; then lets both run to the end and looks at what ClickHouse has.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "../../base/random.ts";
import { type Service, startService } from "../../testing/test-service.ts";
import { until } from "../../testing/until.ts";

const root = join(import.meta.dir, "../..");
/** What a spool of the smallest size holds is less than what comes in an outage, so these rounds evict. */
const tightSpoolBytes = 256 * 1024;
const roomySpoolBytes = 64 * 1024 * 1024;
/** A round whose last run takes longer has hung. */
const drainTimeoutMs = 90_000;

export interface CampaignOptions {
  readonly rounds: number;
  readonly events: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface RoundResult {
  readonly runtime: string;
  readonly clientKills: number;
  readonly serviceKills: number;
  /** `send` returned. */
  readonly sent: number;
  /** `send` was cut off by a kill: the event may be in the spool or not. */
  readonly inDoubt: number;
  readonly stored: number;
  readonly storedTwice: number;
  /** Sent, and neither stored nor reported as evicted; less than none when more was reported than is missing. */
  readonly lost: number;
  readonly acknowledged: number;
  readonly evicted: number;
  readonly wrong: readonly string[];
}

interface Stats {
  readonly queued: number;
  readonly acknowledged: number;
  readonly evicted: number;
  readonly refused: number;
  readonly damaged: number;
}

export async function runCampaign(options: CampaignOptions): Promise<RoundResult[]> {
  const directory = mkdtempSync(join(tmpdir(), "sluice-device-"));
  const runtimes = findRuntimes(directory);
  let service = await startService();
  const results: RoundResult[] = [];
  try {
    for (let round = 0; round < options.rounds; round++) {
      const runtime = runtimes[round % runtimes.length] as Runtime;
      const outcome = await runRound(
        { ...options, round, runtime, directory: join(directory, String(round)) },
        service,
      );
      service = outcome.service;
      results.push(outcome.result);
      options.say(`round ${round + 1}: ${JSON.stringify(outcome.result)}`);
    }
  } finally {
    await service.dispose();
    rmSync(directory, { recursive: true, force: true });
  }
  return results;
}

interface Runtime {
  readonly name: string;
  readonly program: string;
  readonly script: string;
  readonly sdk: string;
}

/** Bun runs the source; Node, where there is one, what `npm pack` would ship; Python, where there is one, its twin. */
function findRuntimes(directory: string): Runtime[] {
  const script = join(import.meta.dir, "sender.mjs");
  const bun = { name: "bun", program: process.execPath, script, sdk: join(root, "sdk/src/index.ts") };
  const python = Bun.which("python3");
  const twin = { name: "python", script: join(import.meta.dir, "sender.py"), sdk: join(root, "examples/python") };
  const found = python === null ? [bun] : [bun, { ...twin, program: python }];
  const node = Bun.which("node");
  if (node === null) return found;
  const out = join(directory, "sdk");
  const built = Bun.spawnSync([join(root, "node_modules/.bin/tsc"), "-p", join(root, "sdk"), "--outDir", out]);
  if (built.exitCode !== 0) throw new Error(`the SDK does not build: ${built.stdout}`);
  return [...found, { name: "node", program: node, script, sdk: join(out, "index.js") }];
}

interface Round extends CampaignOptions {
  readonly round: number;
  readonly runtime: Runtime;
  readonly directory: string;
}

async function runRound(round: Round, first: Service): Promise<{ service: Service; result: RoundResult }> {
  const random = createRandom(round.seed * 1000 + round.round);
  const between = (min: number, max: number): number => min + Math.floor(random() * (max - min));
  mkdirSync(round.directory, { recursive: true });
  const ledger = join(round.directory, "ledger");
  const deviceId = `kill-${round.seed}-${round.round}`;
  const tight = random() < 0.5;
  let service = first;
  const start = () =>
    startSender(round.runtime, {
      url: service.url,
      spool: join(round.directory, "spool"),
      spoolMaxBytes: tight ? tightSpoolBytes : roomySpoolBytes,
      deviceId,
      ledger,
      events: round.events,
      perTurn: between(5, 30),
    });
  let sender = start();
  let clientKills = 0;
  let serviceKills = 0;
  const sentEvents = () => readLedger(ledger).sent.size;
  for (const kills = between(4, 9); clientKills + serviceKills < kills && sentEvents() < round.events; ) {
    await Bun.sleep(between(20, 900));
    const target = between(0, 3);
    if (target !== 0) {
      // At the same moment: the service first, so that an answer may be on its way.
      const dying = service.kill();
      serviceKills++;
      if (target === 2) {
        sender.kill("SIGKILL");
        clientKills++;
      }
      await dying;
      if (target === 2) {
        await sender.exited;
        sender = start();
      }
      // Sometimes long enough for a tight spool to overflow.
      await Bun.sleep(between(0, 2) === 0 ? 0 : between(100, 1500));
      service = await service.restart();
    } else {
      sender.kill("SIGKILL");
      clientKills++;
      await sender.exited;
      await Bun.sleep(between(0, 200));
      sender = start();
    }
  }
  const stats = await finish(sender);
  const stored = await readStored(service, deviceId, stats.acknowledged);
  const { sent, inDoubt } = readLedger(ledger);
  const result = judge({ runtime: round.runtime.name, clientKills, serviceKills }, { sent, inDoubt, stored, stats });
  return { service, result };
}

function startSender(runtime: Runtime, settings: Record<string, unknown>) {
  return Bun.spawn([runtime.program, runtime.script, JSON.stringify({ sdk: runtime.sdk, ...settings })], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
}

async function finish(sender: ReturnType<typeof startSender>): Promise<Stats> {
  const timer = setTimeout(() => sender.kill("SIGKILL"), drainTimeoutMs);
  const [code, out] = await Promise.all([sender.exited, new Response(sender.stdout).text()]);
  clearTimeout(timer);
  if (code !== 0) throw new Error(`the client ended with ${code ?? sender.signalCode}`);
  return JSON.parse(out) as Stats;
}

/** Numbers whose `send` returned, and those whose `send` was cut off. */
export function readLedger(path: string): { sent: Set<number>; inDoubt: Set<number> } {
  const text = readFileSync(path, { encoding: "utf8", flag: "a+" });
  const sent = new Set<number>();
  const inDoubt = new Set<number>();
  for (const [, number, returned] of text.matchAll(/(\d+) (\.?)/g)) {
    (returned === "." ? sent : inDoubt).add(Number(number));
  }
  return { sent, inDoubt };
}

/** How often each number is in ClickHouse, once everything that was accepted is there. */
async function readStored(service: Service, deviceId: string, atLeast: number): Promise<Map<number, number>> {
  const where = `FROM telemetry_events WHERE device_id = '${deviceId}'`;
  // The engine starts, and the tables are made, behind a service that takes events already.
  await until(
    "ClickHouse has the tables",
    async () => {
      if (!(await answers(`${service.clickHouseUrl}/ping`))) return false;
      const [table] = await service.sql<{ result: number }>("EXISTS TABLE telemetry_events");
      return table?.result === 1;
    },
    drainTimeoutMs,
  );
  await until(
    "everything is stored",
    async () => {
      const pipeline = (await (await fetch(`${service.url}/api/pipeline`)).json()) as { pending: number };
      const [row] = await service.sql<{ events: number }>(`SELECT count() AS events ${where}`);
      return pipeline.pending === 0 && row !== undefined && row.events >= atLeast;
    },
    drainTimeoutMs,
  );
  const rows = await service.sql<{ number: number; copies: number }>(
    `SELECT toUInt32(value_float) AS number, count() AS copies ${where} GROUP BY number`,
  );
  return new Map(rows.map(({ number, copies }) => [number, copies]));
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

function judge(
  kills: Pick<RoundResult, "runtime" | "clientKills" | "serviceKills">,
  seen: { sent: Set<number>; inDoubt: Set<number>; stored: Map<number, number>; stats: Stats },
): RoundResult {
  const { sent, inDoubt, stored, stats } = seen;
  const storedTwice = [...stored.values()].filter((copies) => copies > 1).length;
  const missing = [...sent].filter((number) => !stored.has(number)).length;
  const doubtfulMissing = [...inDoubt].filter((number) => !stored.has(number)).length;
  const wrong: string[] = [];
  if (storedTwice > 0) wrong.push(`${storedTwice} events are stored twice`);
  if (missing > stats.evicted) wrong.push(`${missing} events are missing, ${stats.evicted} were reported as evicted`);
  // An event whose `send` was cut off may have been taken, and evicted later.
  if (stats.evicted > missing + doubtfulMissing) {
    wrong.push(`${stats.evicted} events were reported as evicted, ${missing} are missing`);
  }
  if (stats.acknowledged !== stored.size) wrong.push(`${stats.acknowledged} acknowledged, ${stored.size} stored`);
  if (stats.queued + stats.refused + stats.damaged > 0) wrong.push(`left over: ${JSON.stringify(stats)}`);
  return {
    ...kills,
    sent: sent.size,
    inDoubt: inDoubt.size,
    stored: stored.size,
    storedTwice,
    lost: missing - stats.evicted,
    acknowledged: stats.acknowledged,
    evicted: stats.evicted,
    wrong,
  };
}
