import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import { createRandom } from "../../base/random.ts";
import type { AlertHistory } from "../../contract/alerts.ts";
import { until } from "../../testing/test-service.ts";
import { alertsOf } from "./rig.ts";
import { type Services, startAlone, startShared } from "./services.ts";

export interface CampaignOptions {
  readonly rounds: number;
  /** Devices that report values; a tenth of them changes in a round. */
  readonly devices: number;
  /** Devices that report each second under a rule of silence; a tenth of them falls silent in a round. */
  readonly heartbeats: number;
  readonly seed: number;
  /** Two instances over one Redis, which is killed, too. */
  readonly shared?: boolean;
  readonly log: (line: string) => void;
}

export interface CampaignResult {
  readonly kills: Readonly<Record<string, number>>;
  /** From the death of the instance that decided to the next one's being there, ms; of two instances. */
  readonly takeoversMs: readonly number[];
  readonly transitions: number;
  readonly messages: number;
  /** Messages that came more than once, under the same id: a receiver knows them. */
  readonly repeated: number;
  /** What is wrong; empty when nothing is. */
  readonly faults: string[];
  /** From the acknowledgement to the decision, where nothing was killed in between. */
  readonly latencyMs: { count: number; p50: number; p99: number; max: number };
}

const environment = { ALLOW_PRIVATE_WEBHOOKS: "1", LOG_LEVEL: "warn" };
const settleMs = 120_000;
const silentAfterSeconds = 8;
const grouping = { wait: "300ms", interval: "300ms" };

interface Line {
  readonly id: string;
  readonly type: "alert.firing" | "alert.resolved";
  readonly alerts: readonly { id: string; device_id: string }[];
}

/**
 * Devices change and fall silent while service and receiver are killed at random moments. In the end every transition that an
 * acknowledged event, or silence, has caused was told exactly once by id, and nothing else was told.
 */
export async function runKillCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const campaign = await Campaign.start(options);
  try {
    for (let round = 1; round <= options.rounds; round++) await campaign.round(round);
    return await campaign.result();
  } finally {
    await campaign.stop();
  }
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #random: () => number;
  readonly #directory = mkdtempSync(join(tmpdir(), "sluice-alert-kills-"));
  readonly #file = join(this.#directory, "received.ndjson");
  readonly #receiverPort = findFreePort();
  readonly #kills: Record<string, number> = {};
  readonly #killedAt: number[] = [];
  readonly #acknowledged = new Map<string, number>();
  /** What has to be told, in order. */
  readonly #expected: string[] = [];
  readonly #stopped = new Set<string>();
  readonly #read: Line[] = [];
  readonly #seen = new Map<string, Set<string>>();
  #readBytes = 0;
  readonly #services: Services;
  #receiver: Bun.Subprocess;
  #beating = true;
  #beats: Promise<void> = Promise.resolve();

  private constructor(options: CampaignOptions, services: Services) {
    this.#options = options;
    this.#random = createRandom(options.seed);
    this.#services = services;
    this.#receiver = this.#startReceiver();
  }

  static async start(options: CampaignOptions): Promise<Campaign> {
    const campaign = new Campaign(options, await (options.shared ? startShared : startAlone)(environment));
    const api = alertsOf(campaign.#services.one);
    const url = `http://127.0.0.1:${campaign.#receiverPort}/`;
    await api.createChannel({ name: "c", kind: "webhook", url, grouping });
    await api.createRule({
      name: "hot",
      severity: "critical",
      when: { kind: "value", event_type: "load", measure: "last", above: 10 },
    });
    await api.createRule({
      name: "silent",
      severity: "warning",
      devices: { prefix: "beat-" },
      when: { kind: "silent", after: `${silentAfterSeconds}s` },
    });
    // Every device is known, and calm.
    const all = Array.from({ length: options.devices }, (_, index) => `load-${index}`);
    await campaign.#send(all, 1);
    campaign.#beats = campaign.#beat();
    await until(
      "heartbeats under the rule",
      async () => {
        const { rules } = await api.call<{ rules: { name: string; series: number }[] }>("GET", "/rules");
        return rules.some(({ name, series }) => name === "silent" && series >= options.heartbeats);
      },
      settleMs,
    );
    return campaign;
  }

  async round(round: number): Promise<void> {
    const killing = this.#killNow();
    const share = Math.max(1, Math.floor(this.#options.devices / 10));
    const hot = this.#choose("load", this.#options.devices, share);
    const silent = this.#choose(
      "beat",
      this.#options.heartbeats,
      Math.max(1, Math.floor(this.#options.heartbeats / 10)),
    );
    for (const id of silent) this.#stopped.add(id);
    await this.#send(hot, 20 + round);
    await killing;
    await this.#told("alert.firing", [...hot, ...silent]);
    const again = this.#killNow();
    this.#stopped.clear();
    await this.#send(hot, 1);
    await again;
    await this.#told("alert.resolved", [...hot, ...silent]);
    this.#options.log(
      `round ${round}: ${hot.length} hot, ${silent.length} silent; kills ${JSON.stringify(this.#kills)}`,
    );
  }

  async result(): Promise<CampaignResult> {
    this.#beating = false;
    await this.#beats;
    const lines = this.#lines();
    const messages = new Map(lines.map((line) => [line.id, line]));
    const told = new Map<string, number>();
    for (const { type, alerts } of messages.values())
      for (const { id, device_id } of alerts) {
        const name = `${type} ${device_id} ${id}`;
        told.set(name, (told.get(name) ?? 0) + 1);
      }
    const faults = [...told].filter(([, times]) => times > 1).map(([name, times]) => `told ${times} times: ${name}`);
    const counts = new Map<string, number>();
    for (const name of told.keys()) {
      const [type, device] = name.split(" ");
      counts.set(`${type} ${device}`, (counts.get(`${type} ${device}`) ?? 0) + 1);
    }
    const expected = new Map<string, number>();
    for (const name of this.#expected) expected.set(name, (expected.get(name) ?? 0) + 1);
    for (const [name, times] of counts)
      if (times > (expected.get(name) ?? 0))
        faults.push(`false: ${name}, ${times} instead of ${expected.get(name) ?? 0}`);
    for (const [name, times] of expected) if (times > (counts.get(name) ?? 0)) faults.push(`missed: ${name}`);
    const left = await alertsOf(this.#services.one).list();
    for (const { device_id, state } of left) faults.push(`left over: ${device_id} ${state}`);
    return {
      kills: this.#kills,
      takeoversMs: this.#services.takeovers.map(Math.round),
      transitions: this.#expected.length,
      messages: messages.size,
      repeated: lines.length - messages.size,
      faults,
      latencyMs: await this.#latencies(),
    };
  }

  async stop(): Promise<void> {
    this.#beating = false;
    await this.#beats;
    this.#receiver.kill("SIGKILL");
    await this.#receiver.exited;
    await this.#services.dispose();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #startReceiver(): Bun.Subprocess {
    const file = join(import.meta.dir, "receiver-process.ts");
    return Bun.spawn([process.execPath, file, String(this.#receiverPort), this.#file], {
      stdout: "ignore",
      stderr: "ignore",
    });
  }

  /** One of the two, or both, at a random moment of the next seconds. */
  async #killNow(): Promise<void> {
    await Bun.sleep(this.#random() * 2_500);
    const dice = this.#random();
    if (dice < 0.75) await this.#killService();
    if (dice > 0.5) {
      this.#count("receiver");
      this.#receiver.kill("SIGKILL");
      await this.#receiver.exited;
      await Bun.sleep(this.#random() * 1_000);
      this.#receiver = this.#startReceiver();
    }
  }

  async #killService(): Promise<void> {
    this.#killedAt.push(Date.now());
    this.#count(await this.#services.kill(this.#random));
    this.#killedAt.push(Date.now());
  }

  #count(killed: string): void {
    this.#kills[killed] = (this.#kills[killed] ?? 0) + 1;
  }

  #choose(prefix: string, of: number, count: number): string[] {
    const chosen = new Set<string>();
    while (chosen.size < count) chosen.add(`${prefix}-${Math.floor(this.#random() * of)}`);
    return [...chosen];
  }

  /** As a device does it: the same key until it is acknowledged. */
  async #send(devices: readonly string[], value: number): Promise<void> {
    for (let from = 0; from < devices.length; from += 500) {
      const part = devices.slice(from, from + 500);
      const key = crypto.randomUUID();
      const events = part.map((device_id) => ({
        device_id,
        event_type: "load",
        value_float: value,
        timestamp: Date.now(),
      }));
      await until("acknowledged", async () => (await this.#post(events, key)) === 202, settleMs);
      for (const id of part) this.#acknowledged.set(`${id} ${value}`, Date.now());
    }
  }

  async #post(events: unknown[], key?: string): Promise<number> {
    try {
      const headers = key === undefined ? {} : { "Idempotency-Key": key };
      return (await this.#services.one.ingest(events, { headers: headers as Record<string, string> })).status;
    } catch (error) {
      // It is down; the device tries again.
      if (error instanceof Error) return 0;
      throw error;
    }
  }

  async #beat(): Promise<void> {
    while (this.#beating) {
      const events = Array.from({ length: this.#options.heartbeats }, (_, index) => `beat-${index}`)
        .filter((id) => !this.#stopped.has(id))
        .map((device_id) => ({ device_id, event_type: "beat", value_float: 1 }));
      await this.#post(events);
      await Bun.sleep(700);
    }
  }

  /** What the receiver has written so far; only what is new is read. */
  #lines(): readonly Line[] {
    if (!existsSync(this.#file)) return this.#read;
    const text = readFileSync(this.#file).subarray(this.#readBytes).toString();
    const end = text.lastIndexOf("\n") + 1;
    this.#readBytes += Buffer.byteLength(text.slice(0, end));
    for (const line of text.slice(0, end).split("\n")) {
      const parsed = parseLine(line);
      if (parsed === null) continue;
      this.#read.push(parsed);
      for (const { id, device_id } of parsed.alerts) {
        const name = `${parsed.type} ${device_id}`;
        this.#seen.set(name, (this.#seen.get(name) ?? new Set()).add(id));
      }
    }
    return this.#read;
  }

  async #told(type: Line["type"], devices: readonly string[]): Promise<void> {
    for (const id of devices) this.#expected.push(`${type} ${id}`);
    const wanted = new Map<string, number>();
    for (const name of this.#expected) if (name.startsWith(type)) wanted.set(name, (wanted.get(name) ?? 0) + 1);
    await until(
      `${devices.length} told of ${type}`,
      async () => {
        this.#lines();
        const isTold = (id: string): boolean =>
          (this.#seen.get(`${type} ${id}`)?.size ?? 0) >= (wanted.get(`${type} ${id}`) ?? 0);
        if (devices.every(isTold)) return true;
        await Bun.sleep(200);
        return false;
      },
      settleMs,
    ).catch(async (error) => {
      const list = await alertsOf(this.#services.one).list("?limit=5");
      throw new Error(`${String(error)}; now ${JSON.stringify(list)}; ${this.#services.log()}`);
    });
  }

  async #history(): Promise<AlertHistory["transitions"]> {
    const api = alertsOf(this.#services.one);
    const all: AlertHistory["transitions"] = [];
    for (let cursor: string | null = ""; cursor !== null && all.length < 100_000; ) {
      const from: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const page = await api.call<AlertHistory>("GET", `/history?rule=hot&limit=1000${from}`);
      all.push(...page.transitions);
      cursor = page.cursor;
    }
    return all;
  }

  async #latencies(): Promise<CampaignResult["latencyMs"]> {
    const list: number[] = [];
    for (const { device_id, to, value, decided_at } of await this.#history()) {
      const sentMs = to === "firing" ? this.#acknowledged.get(`${device_id} ${value}`) : undefined;
      const decidedMs = Date.parse(decided_at);
      if (sentMs === undefined || this.#killedAt.some((atMs) => atMs > sentMs - 5_000 && atMs < decidedMs + 1_000))
        continue;
      list.push(Math.max(0, decidedMs - sentMs));
    }
    list.sort((a, b) => a - b);
    const at = (share: number): number => list[Math.min(list.length - 1, Math.floor(share * list.length))] ?? 0;
    return { count: list.length, p50: at(0.5), p99: at(0.99), max: at(1) };
  }
}

/** Null: a line that a kill cut off. It was not answered, and came again. */
function parseLine(line: string): Line | null {
  try {
    return line === "" ? null : (JSON.parse(line) as Line);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

const numberAfter = (name: string, fallback: number): number => {
  const at = process.argv.indexOf(name);
  return at === -1 ? fallback : Number(process.argv[at + 1]);
};

if (import.meta.main) {
  const result = await runKillCampaign({
    rounds: numberAfter("--rounds", 100),
    devices: numberAfter("--devices", 10_000),
    heartbeats: numberAfter("--heartbeats", 1_000),
    seed: numberAfter("--seed", 1),
    shared: process.argv.includes("--redis"),
    log: (line) => console.log(line),
  });
  console.log(
    JSON.stringify({ ...result, faults: result.faults.slice(0, 20), faultCount: result.faults.length }, null, 2),
  );
  process.exit(result.faults.length === 0 ? 0 : 1);
}
