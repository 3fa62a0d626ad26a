import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";

const jars = "/usr/share/java";
const needed =
  /^(zookeeper|zookeeper-jute|slf4j-api|slf4j-nop|netty.*|commons-cli|jline2?|log4j-1\.2|snappy-java|metrics-core)\.jar$/;

/** Debian's `zookeeper`, which brings its own Java. */
export const noZooKeeper = !existsSync(join(jars, "zookeeper.jar")) || Bun.which("java") === null;

export interface ZooKeeper {
  readonly port: number;
  /** Every path below `path`, itself included. */
  list(path: string): string[];
  read(path: string): string;
  stop(): Promise<void>;
}

function classPath(): string {
  return readdirSync(jars)
    .filter((name) => needed.test(name))
    .map((name) => join(jars, name))
    .join(":");
}

/** One real ZooKeeper on a free port of the loopback, its files under `directory`. */
export async function startZooKeeper(directory: string): Promise<ZooKeeper> {
  const port = findFreePort();
  const data = join(directory, "zookeeper");
  mkdirSync(data);
  const config = join(directory, "zoo.cfg");
  const lines = [
    "tickTime=500",
    `dataDir=${data}`,
    `clientPort=${port}`,
    "clientPortAddress=127.0.0.1",
    "admin.enableServer=false",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const java = ["java", "-Xmx128m", "-cp", classPath()];
  const server = Bun.spawn([...java, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config], {
    stdout: "ignore",
    stderr: "ignore",
  });
  const deadlineMs = performance.now() + 30_000;
  while (!(await accepts(port))) {
    if (server.exitCode !== null || performance.now() > deadlineMs) throw new Error("ZooKeeper did not start");
    await Bun.sleep(50);
  }
  const ask = (...words: string[]): string => {
    const client = Bun.spawnSync(
      [...java, "org.apache.zookeeper.ZooKeeperMain", "-server", `127.0.0.1:${port}`, ...words],
      {
        stderr: "ignore",
      },
    );
    return `${client.stdout}`;
  };
  return {
    port,
    list: (path) =>
      ask("ls", "-R", path)
        .split("\n")
        .filter((line) => line.startsWith(path)),
    read: (path) => ask("get", path),
    async stop() {
      server.kill("SIGKILL");
      await server.exited;
    },
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
