import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import type { Log } from "../../../base/log.ts";
import type { ErrorCode } from "../../../contract/error.ts";
import type { StoredEvent } from "../../../contract/event.ts";
import type { MqttState } from "../../../contract/mqtt.ts";
import type { IngestPrincipal } from "../../access/access.ts";
import { TokenBucket } from "../../access/token-bucket.ts";
import { Refusal } from "../../http/refusal.ts";
import type { Ingest } from "../ingest.ts";
import { type BrokerAddress, openConnection, type ProtocolVersion } from "./connection.ts";
import { MessageDelivery } from "./message-delivery.ts";
import { openMessageLetters } from "./message-letters.ts";
import { createSubscriber, type Message, type Subscriber, type SubscriberState } from "./subscriber.ts";
import type { TopicMatch, TopicTemplate } from "./topic-template.ts";

export interface MqttDeps {
  readonly log: Log;
  readonly ingest: Pick<Ingest, "take" | "takeOnce">;
  /** Milliseconds that never go back. */
  readonly monotonicNow: () => number;
  readonly now: () => number;
  readonly random: () => number;
}

export interface MqttOptions {
  readonly url: string;
  readonly templates: readonly TopicTemplate[];
  readonly qos: 0 | 1 | 2;
  readonly clientId: string;
  readonly group: string | null;
  readonly deadLetterDirectory: string;
  readonly deadLetterMaxBytes: number;
  readonly maxBodyBytes: number;
  /** Holds for the broker as for one key; null: no limit. */
  readonly rateLimitEvents: number | null;
}

export interface Mqtt {
  /** Connects. Events are taken from here on. */
  start(): void;
  state(): MqttState;
  /** Messages on file that were no events. */
  readonly deadLetters: number;
  /** Reads nothing more; resolves when what was read is settled, within `timeoutMs`. */
  stop(timeoutMs: number): Promise<void>;
}

/** Enough for ten thousand a second where a flush takes a hundred milliseconds. */
const inFlightMax = 1_000;
const inFlightMaxBytes = 32 * 2 ** 20;
const retryMs = 250;
/** A message that gets one of these is wrong itself; anything else passes, and the message waits for that. */
const final: ReadonlySet<ErrorCode> = new Set([
  "malformed_request",
  "malformed_json",
  "invalid_events",
  "too_many_events",
  "body_too_large",
]);
/** No ingest key has a colon in its name, so their idempotency keys and these never meet. */
const principalName = "mqtt:";
const noTopic: TopicMatch = { metadata: {} };

/** Events from a broker: each message is one delivery, acknowledged when it is durable or among the dead letters. */
export function createMqtt(deps: MqttDeps, options: MqttOptions): Mqtt {
  const { log, ingest } = deps;
  const { address, version, shown } = readBrokerUrl(options.url);
  const principal = brokerPrincipal(options.rateLimitEvents, deps.monotonicNow);
  const letters = openMessageLetters(
    {
      now: deps.now,
      onError: (error) => log("error", "MQTT: a dead letter cannot be written", { error: String(error) }),
    },
    { directory: options.deadLetterDirectory, maxBytes: options.deadLetterMaxBytes },
  );
  let deadLettersSince = 0;
  /** Messages that could not be taken yet, and why the newest of them could not. */
  let waiting = 0;
  let waitingFor: string | null = null;
  let stopping = false;

  function matchOf(topic: string): TopicMatch | undefined {
    for (const template of options.templates) {
      const match = template.match(topic);
      if (match !== undefined) return match;
    }
    return undefined;
  }

  async function attempt(message: Message, match: TopicMatch): Promise<Refusal | null> {
    if (message.payload.length > options.maxBodyBytes) {
      return new Refusal("body_too_large", `the payload is over ${options.maxBodyBytes} bytes (MAX_BODY_BYTES)`);
    }
    const delivery = new MessageDelivery(match);
    const { idempotencyKey: key, payload } = message;
    const outcome = await (key === null
      ? ingest.take(delivery, payload, principal)
      : ingest.takeOnce(delivery, payload, principal, key));
    return outcome instanceof Refusal ? outcome : null;
  }

  async function setAside(message: Message, match: TopicMatch | undefined, reason: string): Promise<boolean> {
    const written = await letters.append(letterOf(message, match, reason, deps.now()));
    if (written) deadLettersSince++;
    else waitingFor = "the dead letters cannot be written, or are full (DEAD_LETTER_MAX_BYTES)";
    return written;
  }

  /** True: settled. False: not now. */
  async function tryTake(message: Message): Promise<boolean> {
    const match = matchOf(message.topic);
    if (match === undefined) return setAside(message, undefined, "no template of MQTT_TOPICS matches the topic");
    const refusal = await attempt(message, match);
    if (refusal === null) return true;
    if (final.has(refusal.code)) return setAside(message, match, refusal.message);
    waitingFor = refusal.message;
    return false;
  }

  async function take(message: Message): Promise<void> {
    if (await tryTake(message)) return;
    waiting++;
    do {
      // Unsettled and unacknowledged: the broker keeps it for the next start.
      if (stopping) return new Promise(() => undefined);
      await Bun.sleep(retryMs);
    } while (!(await tryTake(message)));
    waiting--;
  }

  let subscriber: Subscriber | null = null;
  const subscribe = (): Subscriber =>
    createSubscriber(
      { log, open: openConnection, take, random: deps.random, now: deps.now },
      {
        address,
        version,
        filters: options.templates.map(({ filter }) => filter),
        qos: options.qos,
        clientId: options.clientId,
        group: options.group,
        inFlightMax,
        inFlightMaxBytes,
        maximumPacketBytes: options.maxBodyBytes + 2 ** 17,
      },
    );

  return {
    start() {
      subscriber = subscribe();
    },
    state() {
      const state = subscriber?.state ?? notStarted;
      return {
        state: state.connection,
        broker: shown,
        version: state.version === 5 ? "5" : "3.1.1",
        since: new Date(state.sinceMs).toISOString(),
        topics: options.templates.map(({ text }) => text),
        qos: options.qos,
        last_error: state.lastError,
        waiting_for: waiting > 0 ? waitingFor : null,
        in_flight: state.inFlight,
        received: state.received,
        acknowledged: state.acknowledged,
        dead_lettered: deadLettersSince,
      };
    },
    get deadLetters() {
      return letters.count;
    },
    async stop(timeoutMs) {
      stopping = true;
      await subscriber?.stop(timeoutMs);
      await letters.close();
    },
  };
}

function brokerPrincipal(rate: number | null, monotonicNow: () => number): IngestPrincipal {
  const bucket = rate === null ? null : new TokenBucket({ ratePerSecond: rate }, monotonicNow);
  const limited = new Refusal("rate_limited", `more than ${rate} events a second (RATE_LIMIT_EVENTS)`);
  return {
    name: principalName,
    devicePrefix: null,
    takeEvents: (count) => (bucket === null || bucket.tryTake(count) ? undefined : limited),
  };
}

const notStarted: SubscriberState = {
  connection: "connecting",
  version: 5,
  sinceMs: 0,
  lastError: null,
  paused: false,
  inFlight: 0,
  received: 0,
  acknowledged: 0,
};

const ports: Readonly<Record<string, number>> = { "mqtt:": 1883, "mqtts:": 8883 };

/** `?protocol=3.1.1` or `5` says which version of MQTT to speak; without it 5 is tried first. */
export function readBrokerUrl(text: string): {
  readonly address: BrokerAddress;
  readonly version: ProtocolVersion | null;
  readonly shown: string;
} {
  const url = new URL(text);
  const protocol = url.searchParams.get("protocol");
  const port = Number(url.port) || (ports[url.protocol] as number);
  return {
    address: {
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port,
      tls: url.protocol === "mqtts:",
      username: url.username === "" ? null : decodeURIComponent(url.username),
      password: url.password === "" ? null : decodeURIComponent(url.password),
    },
    version: protocol === "3.1.1" ? 4 : protocol === "5" ? 5 : null,
    shown: `${url.protocol}//${url.hostname}:${port}`,
  };
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The message as an event that holds all of it, so that it can be looked at, mended and sent again. */
function letterOf(message: Message, match: TopicMatch | undefined, reason: string, nowMs: number) {
  const { topic, payload, qos, idempotencyKey } = message;
  const at = new Date(nowMs).toISOString();
  const isText = isUtf8(payload);
  const { deviceId, eventType, metadata } = match ?? noTopic;
  const event: StoredEvent = {
    timestamp: at,
    received_at: at,
    device_id: deviceId || "mqtt",
    event_type: eventType || "message",
    value_float: null,
    value_string: isText ? decoder.decode(payload) : Buffer.from(payload).toString("base64"),
    metadata: {
      ...metadata,
      topic,
      qos: String(qos),
      ...(isText ? {} : { encoding: "base64" }),
      ...(idempotencyKey === null ? {} : { "idempotency-key": idempotencyKey }),
    },
  };
  // With a key it is the same letter when it comes again.
  const id = idempotencyKey === null ? crypto.randomUUID() : createHash("sha256").update(idempotencyKey).digest("hex");
  return { id: `mqtt-${id}`, at, code: null, reason: `MQTT ${topic}: ${reason}`, event };
}
