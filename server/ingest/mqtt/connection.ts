import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import mqttPacket, { type IConnackPacket, type Packet } from "mqtt-packet";

export type ProtocolVersion = 4 | 5;

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly username: string | null;
  readonly password: string | null;
}

export interface ConnectionEvents {
  /** The broker has taken the session up, or begun a new one. */
  onConnected(sessionPresent: boolean): void;
  onPacket(packet: Packet): void;
  /** Once; nothing comes after it. */
  onClosed(reason: string): void;
}

export interface ConnectionOptions {
  readonly address: BrokerAddress;
  readonly version: ProtocolVersion;
  readonly clientId: string;
  readonly keepAliveMs: number;
  readonly connectTimeoutMs: number;
  readonly receiveMaximum: number;
  readonly maximumPacketBytes: number;
}

export interface Connection {
  /** Sent together with whatever else is sent in the same turn. */
  send(packet: Packet): void;
  /** `PUBACK`, `PUBREC` or `PUBCOMP`: by far the most frequent packets, so they are four bytes made by hand. */
  acknowledge(kind: "puback" | "pubrec" | "pubcomp", messageId: number): void;
  /** Stops reading; the broker's bytes wait in the network. */
  pause(): void;
  resume(): void;
  /** Tells the broker, and ends when all is sent. */
  disconnect(): void;
}

/** Sessions do not end while the service is away; the broker may have a limit of its own. */
const neverExpires = 0xffffffff;
const firstByte = { puback: 0x40, pubrec: 0x50, pubcomp: 0x70 } as const;
/** Codes of version 3.1.1, and of 5 for those that an operator can do something about. */
const refusals: Readonly<Record<number, string>> = {
  1: "it does not speak this version of MQTT",
  2: "it does not take this client id",
  3: "it is not available",
  4: "wrong user name or password",
  5: "not authorized",
  132: "it does not speak this version of MQTT",
  133: "it does not take this client id",
  134: "wrong user name or password",
  135: "not authorized",
  136: "it is not available",
  137: "it is busy",
  138: "this client is banned",
};

export function isVersionRefusal(reason: string): boolean {
  return reason.endsWith(refusals[1] ?? "");
}

/** One connection to a broker: sockets, packets, keep-alive. What packets mean is not known here. */
export function openConnection(events: ConnectionEvents, options: ConnectionOptions): Connection {
  const { address, version, keepAliveMs } = options;
  const parser = mqttPacket.parser({ protocolVersion: version });
  let unsent: Uint8Array[] = [];
  let connected = false;
  let closed = false;
  let paused = false;
  let lastReceivedMs = performance.now();
  let lastSentMs = performance.now();

  const socket: Socket = address.tls
    ? connectTls({ host: address.host, port: address.port, servername: address.host }, greet)
    : connectTcp({ host: address.host, port: address.port }, greet);
  const connecting = setTimeout(() => close("it does not answer"), options.connectTimeoutMs);
  const heart = setInterval(beat, keepAliveMs / 2);

  function close(reason: string): void {
    if (closed) return;
    closed = true;
    clearTimeout(connecting);
    clearInterval(heart);
    socket.destroy();
    events.onClosed(reason);
  }

  function beat(): void {
    const nowMs = performance.now();
    // While reading is stopped an answer may be there and not have been read.
    if (!paused && nowMs - lastReceivedMs > keepAliveMs * 2) close("it has gone silent");
    else if (connected && nowMs - lastSentMs >= keepAliveMs / 2) send({ cmd: "pingreq" });
  }

  function greet(): void {
    socket.setNoDelay(true);
    send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: version,
      clean: false,
      clientId: options.clientId,
      keepalive: Math.ceil(keepAliveMs / 1000),
      ...(address.username === null ? {} : { username: address.username }),
      ...(address.password === null ? {} : { password: Buffer.from(address.password) }),
      ...(version === 5
        ? {
            properties: {
              sessionExpiryInterval: neverExpires,
              receiveMaximum: options.receiveMaximum,
              maximumPacketSize: options.maximumPacketBytes,
            },
          }
        : {}),
    });
  }

  function flush(): void {
    if (closed || unsent.length === 0) return;
    const bytes = unsent.length === 1 ? (unsent[0] as Uint8Array) : Buffer.concat(unsent);
    unsent = [];
    lastSentMs = performance.now();
    socket.write(bytes);
  }

  function put(bytes: Uint8Array): void {
    unsent.push(bytes);
    if (unsent.length === 1) setImmediate(flush);
  }

  function send(packet: Packet): void {
    put(mqttPacket.generate(packet, { protocolVersion: version }));
  }

  function greeted(packet: IConnackPacket): void {
    clearTimeout(connecting);
    const code = packet.returnCode ?? packet.reasonCode ?? 0;
    if (code !== 0) {
      close(`it refused the connection: ${refusals[code] ?? `code ${code}`}`);
      return;
    }
    connected = true;
    events.onConnected(packet.sessionPresent);
  }

  parser.on("packet", (packet: Packet) => {
    if (closed) return;
    if (packet.cmd === "connack") greeted(packet);
    else if (packet.cmd === "disconnect") close(`it closed the connection with code ${packet.reasonCode ?? 0}`);
    else if (packet.cmd !== "pingresp") events.onPacket(packet);
  });
  parser.on("error", (error: Error) => close(`it sent what is not MQTT: ${error.message}`));
  socket.on("data", (bytes: Buffer) => {
    lastReceivedMs = performance.now();
    parser.parse(bytes);
  });
  socket.on("error", (error: Error) => close(error.message));
  socket.on("close", () => close("the connection has ended"));

  return {
    send,
    acknowledge(kind, messageId) {
      put(Uint8Array.of(firstByte[kind], 2, messageId >> 8, messageId & 0xff));
    },
    pause() {
      paused = true;
      socket.pause();
    },
    resume() {
      paused = false;
      lastReceivedMs = performance.now();
      socket.resume();
    },
    disconnect() {
      if (connected) send({ cmd: "disconnect" });
      flush();
      socket.end();
      close("this service has ended it");
    },
  };
}
