import { connect, createServer, type Socket } from "node:net";
import mqttPacket from "mqtt-packet";

/** A wire between a subscriber and its broker that tells which messages the subscriber has acknowledged, once the broker has heard it. */
export interface MqttTap {
  readonly port: number;
  /** Payloads of messages that PUBACK or PUBREC was sent for. */
  readonly acknowledged: ReadonlySet<string>;
  stop(): void;
}

export async function startMqttTap(brokerPort: number): Promise<MqttTap> {
  const acknowledged = new Set<string>();
  const sockets = new Set<Socket>();
  const server = createServer((subscriber) => {
    const broker = connect({ host: "127.0.0.1", port: brokerPort });
    const sent = new Map<number, string>();
    const fromBroker = mqttPacket.parser({ protocolVersion: 5 });
    const fromSubscriber = mqttPacket.parser({ protocolVersion: 5 });
    fromBroker.on("packet", (packet) => {
      if (packet.cmd === "publish" && packet.qos > 0) sent.set(packet.messageId ?? 0, String(packet.payload));
    });
    fromSubscriber.on("packet", (packet) => {
      if (packet.cmd !== "puback" && packet.cmd !== "pubrec") return;
      const payload = sent.get(packet.messageId ?? 0);
      if (payload !== undefined) acknowledged.add(payload);
    });
    // What is told is told before it is passed on: a message that the broker may forget has been counted.
    subscriber.on("data", (bytes: Buffer) => {
      fromSubscriber.parse(bytes);
      broker.write(bytes);
    });
    broker.on("data", (bytes: Buffer) => {
      fromBroker.parse(bytes);
      subscriber.write(bytes);
    });
    for (const [socket, other] of [
      [subscriber, broker],
      [broker, subscriber],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the tap has no port");
  return {
    port: address.port,
    acknowledged,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
