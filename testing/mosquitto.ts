import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../base/free-port.ts";
import { until } from "./until.ts";

const startTimeoutMs = 10_000;
const candidates = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];

/** Null where it is not installed. */
export const mosquittoPath: string | null =
  candidates.map((name) => Bun.which(name)).find((path) => path !== null) ?? null;

export interface Mosquitto {
  readonly port: number;
  readonly url: string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** On the same port, with what it has saved. */
  start(): Promise<void>;
  dispose(): Promise<void>;
}

export interface MosquittoOptions {
  /** It forgets nothing when it is killed, at the price of its speed. */
  readonly savesEachChange?: boolean;
  /** Further lines of its configuration. */
  readonly lines?: readonly string[];
}

/** Debian's broker on a free port. */
export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  if (mosquittoPath === null) throw new Error("mosquitto is not installed");
  const path = mosquittoPath;
  const directory = mkdtempSync(join(tmpdir(), "mosquitto-"));
  const port = findFreePort();
  const configuration = join(directory, "mosquitto.conf");
  writeFileSync(
    configuration,
    [
      "per_listener_settings false",
      "allow_anonymous true",
      `user ${process.getuid?.() === 0 ? "root" : (process.env.USER ?? "nobody")}`,
      "persistence true",
      `persistence_location ${directory}/`,
      ...(options.savesEachChange ? ["autosave_interval 1", "autosave_on_changes true"] : []),
      "max_queued_messages 0",
      "max_inflight_messages 0",
      `listener ${port} 127.0.0.1`,
      ...(options.lines ?? []),
      "",
    ].join("\n"),
  );
  let child = await spawn(path, configuration, port);
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
    async start() {
      child = await spawn(path, configuration, port);
    },
    async dispose() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function spawn(path: string, configuration: string, port: number): Promise<Bun.Subprocess> {
  const child = Bun.spawn([path, "-c", configuration], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  await until(
    `mosquitto on port ${port}`,
    () => {
      if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}`);
      return isListening(port);
    },
    startTimeoutMs,
  );
  return child;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
