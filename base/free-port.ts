import { readFileSync } from "node:fs";

const portMin = 10_000;
const portEnd = 32_768;
const attemptsMax = 100;
const handedOut = new Set<number>();

/**
 * A port of the loopback interface that nobody has, for a listener that somebody else opens. Below those that the kernel gives to
 * connections: one of these would be taken by any connection before the listener is there, and again whenever it restarts.
 * Never the same twice from one process. Throws when none is found.
 */
export function findFreePort(): number {
  const end = Math.max(portMin + 1, Math.min(portEnd, connectionPortsFrom()));
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const port = portMin + Math.floor(Math.random() * (end - portMin));
    if (handedOut.has(port) || !isFree(port)) continue;
    handedOut.add(port);
    return port;
  }
  throw new Error(`no free port between ${portMin} and ${end}`);
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => undefined } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

/** The first of the kernel's own range (`net.ipv4.ip_local_port_range`). */
function connectionPortsFrom(): number {
  try {
    return Number.parseInt(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8"), 10);
  } catch {
    return portEnd;
  }
}
