/** Reads this machine's counters once. What a system does not have is left out. */
import { readdir, readFile, statfs } from "node:fs/promises";
import os from "node:os";
import {
  type CpuTimes,
  parseCpuTimes,
  parseDisks,
  parseMemory,
  parseNetwork,
  parseRunningProcesses,
  physicalDisks,
} from "./proc.ts";
import type { Sample } from "./readings.ts";

/** `monotonicMs` and `epochMs` are taken before anything is read. */
export async function readSample(monotonicMs: number, epochMs: number): Promise<Sample> {
  const common = {
    monotonicMs,
    epochMs,
    uptimeSeconds: os.uptime(),
    // Windows has no load average, and Node gives zeros there.
    load: os.platform() === "win32" ? undefined : os.loadavg(),
    diskUsedPercent: await diskUsedPercent(os.platform() === "win32" ? process.cwd().slice(0, 3) : "/"),
  };
  if (os.platform() !== "linux") {
    return {
      ...common,
      cpu: cpuTimes(os.cpus()),
      memory: { totalBytes: os.totalmem(), availableBytes: os.freemem(), swapTotalBytes: 0, swapFreeBytes: 0 },
    };
  }
  const [stat, meminfo, diskstats, blocks, dev, celsius] = await Promise.all([
    readText("/proc/stat"),
    readText("/proc/meminfo"),
    readText("/proc/diskstats"),
    readNames("/sys/block"),
    readText("/proc/net/dev"),
    hottestCelsius(),
  ]);
  return {
    ...common,
    cpu: parseCpuTimes(stat ?? ""),
    runningProcesses: parseRunningProcesses(stat ?? ""),
    memory: parseMemory(meminfo ?? ""),
    disk: diskstats === undefined ? undefined : parseDisks(diskstats, physicalDisks(blocks)),
    network: dev === undefined ? undefined : parseNetwork(dev),
    celsius,
  };
}

function cpuTimes(cpus: readonly os.CpuInfo[]): Map<string, CpuTimes> {
  const cores = cpus.map(({ times }) => {
    const busy = times.user + times.nice + times.sys + times.irq;
    return { busy, total: busy + times.idle };
  });
  const all = { busy: 0, total: 0 };
  for (const { busy, total } of cores) {
    all.busy += busy;
    all.total += total;
  }
  return new Map([["all", all], ...cores.map((times, core) => [String(core), times] as const)]);
}

/** As `df` counts: what only root may use is neither used nor free. */
async function diskUsedPercent(path: string): Promise<number | undefined> {
  const found = await orAbsent(statfs(path));
  if (found === undefined) return undefined;
  const used = found.blocks - found.bfree;
  return used + found.bavail > 0 ? (100 * used) / (used + found.bavail) : undefined;
}

/** The hottest of the machine's thermal zones; virtual machines have none. */
async function hottestCelsius(): Promise<number | undefined> {
  const zones = (await readNames("/sys/class/thermal")).filter((name) => name.startsWith("thermal_zone"));
  const texts = await Promise.all(zones.map((zone) => readText(`/sys/class/thermal/${zone}/temp`)));
  const celsius = texts.flatMap((text) => (text && Number.isFinite(Number(text)) ? [Number(text) / 1000] : []));
  return celsius.length > 0 ? Math.max(...celsius) : undefined;
}

const readText = (path: string) => orAbsent(readFile(path, "utf8"));
const readNames = async (path: string) => (await orAbsent(readdir(path))) ?? [];

/** A container may hide any of these files, and a sensor may fail to be read: that reading is then left out. */
async function orAbsent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch {
    return undefined;
  }
}
