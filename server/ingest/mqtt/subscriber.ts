import type { IPublishPacket, Packet } from "mqtt-packet";
import { backoffMs } from "../../../base/backoff.ts";
import type { Log } from "../../../base/log.ts";
import {
  type BrokerAddress,
  type Connection,
  type ConnectionEvents,
  type ConnectionOptions,
  isVersionRefusal,
  type ProtocolVersion,
} from "./connection.ts";

export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  /** Of the MQTT 5 user property. */
  readonly idempotencyKey: string | null;
}

export interface SubscriberDeps {
  readonly log: Log;
  readonly open: (events: ConnectionEvents, options: ConnectionOptions) => Connection;
  /** Resolves when the message is durable, or set aside; takes as long as that needs. Never rejects. */
  readonly take: (message: Message) => Promise<void>;
  readonly random: () => number;
  readonly now: () => number;
}

export interface SubscriberOptions {
  readonly address: BrokerAddress;
  /** Null: 5, and 3.1.1 where the broker does not speak it. */
  readonly version: ProtocolVersion | null;
  readonly filters: readonly string[];
  readonly qos: 0 | 1 | 2;
  readonly clientId: string;
  /** Shared with other subscribers of this group. */
  readonly group: string | null;
  /**
   * Messages and bytes that are taken and not durable yet; past either, reading stops. What the read that reached the limit
   * had still brought (a socket gives up to 512 KiB at once) is taken, too.
   */
  readonly inFlightMax: number;
  readonly inFlightMaxBytes: number;
  readonly maximumPacketBytes: number;
}

export interface SubscriberState {
  readonly connection: "connected" | "connecting";
  readonly version: ProtocolVersion;
  /** Of the present connection, or of the loss of the last one; epoch milliseconds. */
  readonly sinceMs: number;
  readonly lastError: string | null;
  /** Reading has stopped until the journal has caught up. */
  readonly paused: boolean;
  readonly inFlight: number;
  readonly received: number;
  readonly acknowledged: number;
}

export interface Subscriber {
  readonly state: SubscriberState;
  /** Reads nothing more; resolves when what was read is settled and acknowledged, or `timeoutMs` are over. */
  stop(timeoutMs: number): Promise<void>;
}

const keepAliveMs = 30_000;
const connectTimeoutMs = 10_000;
const reconnectBaseMs = 200;
const reconnectCapMs = 10_000;

/** A message of QoS 1 or 2 that was read and is not settled between the broker and us. */
interface Unsettled {
  /** Durable, or set aside. */
  taken: boolean;
  /** The connection that it was last sent on, and may be acknowledged on. */
  connection: Connection | null;
  /** What tells it from another message under the same id: a broker that was killed may have forgotten which ids are in use. */
  readonly topic: string;
  readonly digest: number | bigint;
}

/**
 * A persistent session of a broker's, across connections. A message is acknowledged (PUBACK, PUBREC) once `take` has resolved and
 * not before, in whatever order that happens. Ids of messages are the broker's and stay with it: a message that the broker
 * sends again because its acknowledgement never left is recognised and not taken twice.
 */
export function createSubscriber(deps: SubscriberDeps, options: SubscriberOptions): Subscriber {
  const { log } = deps;
  /** By the broker's id: QoS 1 until PUBACK is sent, QoS 2 until PUBREL comes. */
  const unsettled = new Map<number, Unsettled>();
  let connection: Connection | null = null;
  let version: ProtocolVersion = options.version ?? 5;
  let isConnected = false;
  let sinceMs = deps.now();
  let lastError: string | null = null;
  let attempts = 0;
  let inFlight = 0;
  let inFlightBytes = 0;
  let paused = false;
  let stopping = false;
  /** Retained messages came again only because of a new SUBSCRIBE within an old session. */
  let skipRetained = false;
  let received = 0;
  let acknowledged = 0;
  let settled: (() => void) | undefined;
  let reconnecting: Timer | undefined;

  function connect(): void {
    connection = deps.open(
      { onConnected, onPacket, onClosed },
      {
        address: options.address,
        version,
        clientId: options.clientId,
        keepAliveMs,
        connectTimeoutMs,
        receiveMaximum: options.inFlightMax,
        maximumPacketBytes: options.maximumPacketBytes,
      },
    );
  }

  function onConnected(sessionPresent: boolean): void {
    if (!sessionPresent) unsettled.clear();
    isConnected = true;
    attempts = 0;
    sinceMs = deps.now();
    paused = false;
    skipRetained = sessionPresent && version === 4;
    subscribe();
    regulate();
    log("info", "MQTT: connected", {
      session: sessionPresent ? "resumed" : "new",
      version: version === 5 ? "5" : "3.1.1",
    });
  }

  function subscribe(): void {
    const prefix = options.group === null ? "" : `$share/${options.group}/`;
    // Retained messages only where the subscription is new: they are no news to a session that had them.
    const sharing = options.group === null ? { rh: 1 as const } : {};
    connection?.send({
      cmd: "subscribe",
      messageId: 1,
      subscriptions: options.filters.map((filter) => ({ topic: prefix + filter, qos: options.qos, ...sharing })),
    });
  }

  function onClosed(reason: string): void {
    connection = null;
    const wasConnected = isConnected;
    isConnected = false;
    if (stopping) return;
    if (wasConnected) sinceMs = deps.now();
    if (options.version === null && version === 5 && isVersionRefusal(reason)) version = 4;
    if (lastError !== reason || wasConnected) log("warn", "MQTT: not connected", { reason });
    lastError = reason;
    attempts++;
    reconnecting = setTimeout(connect, backoffMs(attempts, deps.random, reconnectBaseMs, reconnectCapMs));
  }

  function onPacket(packet: Packet): void {
    switch (packet.cmd) {
      case "publish":
        onMessage(packet);
        return;
      case "pubrel": {
        const messageId = packet.messageId ?? 0;
        unsettled.delete(messageId);
        connection?.acknowledge("pubcomp", messageId);
        return;
      }
      case "suback":
        onSubscribed(packet.granted.map(Number));
    }
  }

  function onSubscribed(granted: readonly number[]): void {
    const refused = options.filters.filter((_, index) => (granted[index] ?? 0) >= 128);
    if (refused.length === 0) return;
    lastError = `the broker refused to subscribe to ${refused.join(", ")}`;
    log("error", "MQTT: a subscription was refused", { topics: refused.join(", ") });
  }

  function onMessage(packet: IPublishPacket): void {
    const { qos } = packet;
    const messageId = packet.messageId ?? 0;
    const payload = typeof packet.payload === "string" ? Buffer.from(packet.payload) : packet.payload;
    let entry: Unsettled | null = null;
    received++;
    if (qos > 0) {
      const known = unsettled.get(messageId);
      const digest = Bun.hash(payload);
      // Sent again: it is not taken twice, and acknowledged here once it is.
      if (known !== undefined && packet.dup && known.topic === packet.topic && known.digest === digest) {
        known.connection = connection;
        if (known.taken) acknowledge(qos, messageId);
        return;
      }
      if (packet.retain && skipRetained) {
        acknowledge(qos, messageId);
        return;
      }
      entry = { taken: false, connection, topic: packet.topic, digest };
      unsettled.set(messageId, entry);
    } else if (packet.retain && skipRetained) {
      return;
    }
    void takeMessage({ topic: packet.topic, payload, qos, idempotencyKey: keyOf(packet) }, messageId, entry);
  }

  async function takeMessage(message: Message, messageId: number, entry: Unsettled | null): Promise<void> {
    const bytes = message.payload.length + message.topic.length;
    inFlight++;
    inFlightBytes += bytes;
    regulate();
    await deps.take(message);
    inFlight--;
    inFlightBytes -= bytes;
    if (entry !== null) {
      entry.taken = true;
      // On a newer connection the broker sends the message again, and that is what is to be acknowledged. An id that means
      // another message by now is not this one's to acknowledge.
      const isCurrent = unsettled.get(messageId) === entry && entry.connection === connection;
      if (isCurrent) acknowledge(message.qos, messageId);
    }
    regulate();
    if (inFlight === 0) settled?.();
  }

  function acknowledge(qos: 0 | 1 | 2, messageId: number): void {
    if (!isConnected) return;
    acknowledged++;
    if (qos === 1) unsettled.delete(messageId);
    connection?.acknowledge(qos === 1 ? "puback" : "pubrec", messageId);
  }

  /** Stops reading where as much is in flight as may be, and goes on when half of it is settled. */
  function regulate(): void {
    const isFull = inFlight >= options.inFlightMax || inFlightBytes >= options.inFlightMaxBytes;
    const isRoomy = inFlight <= options.inFlightMax / 2 && inFlightBytes <= options.inFlightMaxBytes / 2;
    if (!paused && (isFull || stopping)) {
      paused = true;
      connection?.pause();
    } else if (paused && isRoomy && !stopping) {
      paused = false;
      connection?.resume();
    }
  }

  connect();
  return {
    get state() {
      return {
        connection: isConnected ? ("connected" as const) : ("connecting" as const),
        version,
        sinceMs,
        lastError,
        paused,
        inFlight,
        received,
        acknowledged,
      };
    },
    async stop(timeoutMs) {
      stopping = true;
      clearTimeout(reconnecting);
      regulate();
      if (inFlight > 0) {
        const all = new Promise<void>((resolve) => {
          settled = resolve;
        });
        await Promise.race([all, Bun.sleep(timeoutMs)]);
      }
      connection?.disconnect();
    },
  };
}

function keyOf({ properties }: IPublishPacket): string | null {
  const given = properties?.userProperties?.["idempotency-key"];
  return (Array.isArray(given) ? given[0] : given) ?? null;
}
