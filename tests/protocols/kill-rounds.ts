/**
 * SIGKILL of the service, of the broker, and of both, while MQTT, line protocol and OTLP bring events; then every acknowledged one is
 * looked for in ClickHouse, and those with keys are counted.
 *
 *   bun tests/protocols/kill-rounds.ts --rounds 60 --seed 1
 */
import { parseArgs } from "node:util";
import mqtt, { type IClientPublishOptions, type MqttClient } from "mqtt";
import { createRandom } from "../../base/random.ts";
import type { PipelineDetail } from "../../contract/read.ts";
import { type Mosquitto, startMosquitto } from "../../testing/mosquitto.ts";
import { type MqttTap, startMqttTap } from "../../testing/mqtt-tap.ts";
import { PASSWORD, startTestEngine } from "../../testing/test-engine.ts";
import { type Service, startService } from "../../testing/test-service.ts";
import { until } from "../../testing/until.ts";

const victims = ["service", "broker", "both"] as const;
type Victim = (typeof victims)[number];

export interface KillReport {
  readonly seed: number;
  readonly rounds: Record<Victim, number>;
  readonly kills: number;
  /** Of MQTT: what this service acknowledged, and what the broker itself forgot when it was killed. */
  readonly acknowledged: number;
  readonly forgottenByBroker: number;
  /** Of MQTT without a key, beyond the first: allowed. */
  readonly repeated: number;
  /** Events of line protocol and OTLP. */
  readonly overHttp: number;
  /** At most 20. */
  readonly faults: readonly string[];
}

const messagesPerRound = 300;
const settleMs = 90_000;
const faultsMax = 20;
const pauseMaxMs = 40;

interface World {
  readonly random: () => number;
  readonly mosquitto: Mosquitto;
  readonly tap: MqttTap;
  service: Service;
  readonly publisher: MqttClient;
  /** Ids whose publisher has heard from the broker. */
  readonly published: Set<string>;
  /** Ids of events whose 2xx was heard. */
  readonly accepted: Set<string>;
  running: boolean;
}

export async function killRounds(
  options: { readonly rounds: number; readonly seed: number },
  progress: (line: string) => void = () => undefined,
): Promise<KillReport> {
  const random = createRandom(options.seed);
  const engine = await startTestEngine();
  const mosquitto = await startMosquitto({ savesEachChange: true });
  const tap = await startMqttTap(mosquitto.port);
  const environment = {
    CLICKHOUSE_URL: engine.url,
    CLICKHOUSE_PASSWORD: PASSWORD,
    MQTT_URL: `mqtt://127.0.0.1:${tap.port}`,
    MQTT_QOS: "2",
    FLUSH_INTERVAL: "0.2",
  };
  const service = await startService(environment);
  const publisher = await mqtt.connectAsync(mosquitto.url, {
    protocolVersion: 5,
    clientId: "publisher",
    clean: false,
    reconnectPeriod: 50,
  });
  publisher.on("error", () => undefined);
  const world: World = {
    random,
    mosquitto,
    tap,
    service,
    publisher,
    published: new Set(),
    accepted: new Set(),
    running: true,
  };
  const faults: string[] = [];
  const rounds = { service: 0, broker: 0, both: 0 };
  let kills = 0;
  try {
    for (let round = 0; round < options.rounds; round++) {
      const victim = victims[round % victims.length] as Victim;
      rounds[victim]++;
      kills += await playRound(world, round, victim);
      progress(`round ${round + 1} of ${options.rounds}: ${victim}`);
    }
    world.running = false;
    await settle(world);
    const { text } = await engine.service("SELECT metadata['id'], count() FROM telemetry_events GROUP BY 1 FORMAT TSV");
    const counts = new Map(
      text
        .split("\n")
        .filter(Boolean)
        .map((line) => {
          const [id = "", count = ""] = line.split("\t");
          return [id, Number(count)] as const;
        }),
    );
    const found = judge(world, counts);
    faults.push(...found.faults.slice(0, faultsMax));
    return {
      seed: options.seed,
      rounds,
      kills,
      acknowledged: tap.acknowledged.size,
      forgottenByBroker: found.forgotten,
      repeated: found.repeated,
      overHttp: world.accepted.size,
      faults,
    };
  } finally {
    world.running = false;
    publisher.end(true);
    tap.stop();
    await world.service.dispose();
    await mosquitto.dispose();
    await engine.stop();
  }
}

/** Three senders at once, and a kill or two in the middle of it; ends when everything was sent and heard. */
async function playRound(world: World, round: number, victim: Victim): Promise<number> {
  const sending = Promise.all([publish(world, round), postLines(world, round), postMetrics(world, round)]);
  const kills = 1 + Math.floor(world.random() * 2);
  for (let kill = 0; kill < kills; kill++) {
    await Bun.sleep(world.random() * 400);
    await strike(world, victim);
  }
  await sending;
  return kills;
}

async function strike(world: World, victim: Victim): Promise<void> {
  const service = async (): Promise<void> => {
    await world.service.kill();
    await Bun.sleep(world.random() * 200);
    world.service = await world.service.restart();
  };
  const broker = async (): Promise<void> => {
    await world.mosquitto.kill();
    await Bun.sleep(world.random() * 200);
    await world.mosquitto.start();
  };
  if (victim === "service") await service();
  else if (victim === "broker") await broker();
  else await Promise.all([service(), broker()]);
}

/** QoS 1 and 2, half of them with a key. The id tells: `k` has one. A kill of the broker is a reason to send again. */
async function publish(world: World, round: number): Promise<void> {
  const sent: Promise<void>[] = [];
  for (let n = 0; n < messagesPerRound; n++) {
    const keyed = world.random() < 0.5;
    const id = `mqtt-${keyed ? "k" : "u"}-${round}-${n}`;
    const qos = world.random() < 0.5 ? 1 : 2;
    const properties = keyed ? { properties: { userProperties: { "idempotency-key": id } } } : {};
    const payload = JSON.stringify({ value_float: n, metadata: { id } });
    sent.push(publishUntilHeard(world, `devices/d${n % 7}/kill`, payload, { qos, ...properties }, id));
    if (n % 10 === 9) await Bun.sleep(world.random() * pauseMaxMs);
  }
  await Promise.all(sent);
}

/** The client gives up what is on its way when its connection ends while it resends: then the message is published again. */
async function publishUntilHeard(
  { publisher, published }: World,
  topic: string,
  payload: string,
  options: IClientPublishOptions,
  id: string,
): Promise<void> {
  for (;;) {
    const failure = await publisher.publishAsync(topic, payload, options).then(
      () => null,
      (error: unknown) => error,
    );
    if (failure === null) break;
    await Bun.sleep(50);
  }
  published.add(id);
}

const requestsPerRound = 20;
const linesPerRequest = 10;

async function postLines(world: World, round: number): Promise<void> {
  for (let n = 0; n < requestsPerRound; n++) {
    const ids = Array.from({ length: linesPerRequest }, (_, line) => `line-${round}-${n}-${line}`);
    const body = ids.map((id) => `kill,id=${id} v=1 ${Date.now()}`).join("\n");
    await postUntilTaken(world, "/api/v2/write?bucket=kill&precision=ms", body, {}, ids);
  }
}

async function postMetrics(world: World, round: number): Promise<void> {
  for (let n = 0; n < requestsPerRound; n++) {
    const ids = Array.from({ length: linesPerRequest }, (_, point) => `otlp-${round}-${n}-${point}`);
    const dataPoints = ids.map((id) => ({
      asDouble: 1,
      timeUnixNano: `${Date.now()}000000`,
      attributes: [{ key: "id", value: { stringValue: id } }],
    }));
    const body = JSON.stringify({
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: "kill", gauge: { dataPoints } }] }] }],
    });
    await postUntilTaken(world, "/v1/metrics", body, { "Content-Type": "application/json" }, ids);
  }
}

/** As clients do: the same bytes again after no answer or a 503. */
async function postUntilTaken(
  world: World,
  path: string,
  body: string,
  headers: Record<string, string>,
  ids: readonly string[],
): Promise<void> {
  for (;;) {
    const response = await fetch(world.service.url + path, { method: "POST", body, headers }).catch(() => undefined);
    if (response?.ok) {
      for (const id of ids) world.accepted.add(id);
      await Bun.sleep(world.random() * pauseMaxMs);
      return;
    }
    if (response !== undefined && response.status !== 503)
      throw new Error(`${path}: ${response.status} ${await response.text()}`);
    await Bun.sleep(20);
  }
}

/** Until nothing moves any more: what is on its way has arrived, or never will. */
async function settle(world: World): Promise<void> {
  const look = async () => (await (await fetch(`${world.service.url}/api/pipeline`)).json()) as PipelineDetail;
  let before = -1;
  let quietSinceMs = performance.now();
  await until(
    "everything settled",
    async () => {
      const { durable, stored, mqtt: broker } = await look();
      const received = broker?.received ?? 0;
      if (received !== before || broker?.state !== "connected" || broker.in_flight > 0)
        quietSinceMs = performance.now();
      before = received;
      return durable === stored && performance.now() - quietSinceMs > 2_000;
    },
    settleMs,
  );
}

function judge(world: World, counts: ReadonlyMap<string, number>) {
  const faults: string[] = [];
  let forgotten = 0;
  let repeated = 0;
  for (const payload of world.tap.acknowledged) {
    const { metadata } = JSON.parse(payload) as { metadata: { id: string } };
    if (!counts.has(metadata.id)) faults.push(`lost: ${metadata.id} was acknowledged to the broker`);
  }
  for (const id of world.accepted) if (!counts.has(id)) faults.push(`lost: ${id} was acknowledged over HTTP`);
  for (const id of world.published) {
    if (counts.has(id)) continue;
    const round = Number(id.split("-")[2]);
    // Rounds in which only this service was killed: the broker had no chance to forget.
    if (victims[round % victims.length] === "service") faults.push(`lost: ${id} was published, and the broker lived`);
    else forgotten++;
  }
  for (const [id, count] of counts) {
    if (count === 1) continue;
    if (id.startsWith("mqtt-u")) repeated += count - 1;
    else faults.push(`${count} times: ${id}`);
  }
  return { faults, forgotten, repeated };
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { rounds: { type: "string", default: "60" }, seed: { type: "string" } } });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
  const report = await killRounds({ rounds: Number(values.rounds), seed }, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  process.exit(report.faults.length > 0 ? 1 : 0);
}
