import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AlertHistory } from "../../contract/alerts.ts";
import { startService, until } from "../../testing/test-service.ts";
import { alertsOf } from "./rig.ts";

export interface VerdictOptions {
  readonly devices: number;
  readonly rules: number;
  readonly seconds: number;
  /** Quiet events a second, from all devices in turn. */
  readonly rate: number;
}

export interface Verdicts {
  readonly series: number;
  readonly events: number;
  readonly verdicts: number;
  /** From the acknowledgement of an event to the decision on it; below 0: it was decided before the answer was here. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const types = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"];
const perBody = 500;
const measures = ["last", "last", "last", "avg", "max"] as const;

/** How long after its acknowledgement an event's verdict falls, under many rules and while a fleet reports. */
export async function measureVerdicts(options: VerdictOptions): Promise<Verdicts> {
  const directory = mkdtempSync(join(tmpdir(), "sluice-verdicts-"));
  const file = join(directory, "rules.json");
  const rules = Array.from({ length: options.rules }, (_, index) => ({
    name: `rule ${index}`,
    severity: "info",
    when: {
      kind: "value",
      event_type: types[index % types.length],
      measure: measures[index % measures.length],
      above: 100,
    },
  }));
  writeFileSync(file, JSON.stringify({ rules }));
  const service = await startService({ ALERTS_FILE: file, LOG_LEVEL: "warn" });
  try {
    const acknowledged = new Map<string, number>();
    const deviceOf = (index: number) => ({ device_id: `d${index}`, event_type: types[index % types.length] });
    const send = async (indexes: readonly number[], value: number): Promise<void> => {
      const events = indexes.map((index) => ({ ...deviceOf(index), value_float: value }));
      const answer = await until("a 202", async () => {
        const response = await service.ingest(events);
        return response.status === 202 && response;
      });
      await answer.arrayBuffer();
    };
    let next = 0;
    let events = 0;
    const quiet = async (): Promise<void> => {
      await send(
        Array.from({ length: perBody }, () => next++ % options.devices),
        20,
      );
      events += perBody;
    };
    while (events < options.devices) await quiet();
    const startedMs = performance.now();
    let hot = 0;
    for (let turn = 0; performance.now() - startedMs < options.seconds * 1000; turn++) {
      const index = (hot++ * 7_919) % options.devices;
      await send([index], 1_000);
      acknowledged.set(`d${index}`, Date.now());
      await quiet();
      await Bun.sleep(Math.max(0, ((turn + 1) * perBody * 1000) / options.rate - (performance.now() - startedMs)));
    }
    await Bun.sleep(2_000);
    const list = await firedAfter(alertsOf(service), acknowledged);
    list.sort((a, b) => a - b);
    const at = (share: number): number =>
      list[Math.min(list.length - 1, Math.floor(share * list.length))] ?? Number.NaN;
    const { rules: shown } = await alertsOf(service).call<{ rules: { series: number }[] }>("GET", "/rules");
    const series = shown.reduce((sum, rule) => sum + rule.series, 0);
    return { series, events, verdicts: list.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  } finally {
    await service.dispose();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function firedAfter(
  api: ReturnType<typeof alertsOf>,
  acknowledged: ReadonlyMap<string, number>,
): Promise<number[]> {
  const list: number[] = [];
  const seen = new Set<string>();
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: AlertHistory = await api.call("GET", `/history?limit=1000${cursor === "" ? "" : `&cursor=${cursor}`}`);
    for (const { device_id = "", rule_id, to, decided_at } of page.transitions) {
      const atMs = acknowledged.get(device_id);
      // The first alarm of each rule; the newest transitions come first.
      if (to !== "firing" || atMs === undefined || seen.has(`${device_id} ${rule_id}`)) continue;
      seen.add(`${device_id} ${rule_id}`);
      list.push(Date.parse(decided_at) - atMs);
    }
    cursor = page.cursor;
  }
  return list;
}

const numberAfter = (name: string, fallback: number): number => {
  const at = process.argv.indexOf(name);
  return at === -1 ? fallback : Number(process.argv[at + 1]);
};

if (import.meta.main) {
  const options = {
    devices: numberAfter("--devices", 10_000),
    rules: numberAfter("--rules", 100),
    seconds: numberAfter("--seconds", 20),
    rate: numberAfter("--rate", 5_000),
  };
  const result = await measureVerdicts(options);
  console.log(JSON.stringify({ ...options, ...result }, null, 2));
  process.exit(result.verdicts > 0 && result.p99Ms < 1_000 ? 0 : 1);
}
