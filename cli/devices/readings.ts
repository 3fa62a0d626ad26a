/** Two samples of a machine's counters → what happened between them → events. */
import type { Event } from "../../contract/event.ts";
import type { CpuTimes, parseMemory, Transferred } from "./proc.ts";

export interface Sample {
  /** For durations: a clock that nobody sets. */
  readonly monotonicMs: number;
  /** For timestamps. */
  readonly epochMs: number;
  readonly cpu: ReadonlyMap<string, CpuTimes>;
  readonly runningProcesses?: number | undefined;
  readonly memory?: ReturnType<typeof parseMemory>;
  readonly disk?: Transferred | undefined;
  readonly diskUsedPercent?: number | undefined;
  readonly network?: Transferred | undefined;
  /** Over 1, 5 and 15 minutes. */
  readonly load?: readonly number[] | undefined;
  readonly uptimeSeconds: number;
  readonly celsius?: number | undefined;
}

interface Reading {
  readonly type: string;
  readonly value: number;
  readonly unit: string;
  /** The core it is of; of the whole machine if left out. */
  readonly core?: string;
}

/**
 * Each type once, but for `cpu_core_percent`, which comes once a core. The cores have a type of their own because the
 * newest value of a type would otherwise be that of any core.
 */
export function readingsBetween(before: Sample, now: Sample): Reading[] {
  const readings: Reading[] = [];
  const add = (type: string, unit: string, value: number | undefined, core?: string) => {
    if (value === undefined || !Number.isFinite(value)) return;
    const rounded = Math.round(value * 100) / 100;
    readings.push({ type, unit, value: rounded, ...(core === undefined ? {} : { core }) });
  };
  const seconds = (now.monotonicMs - before.monotonicMs) / 1000;

  add("cpu_percent", "%", cpuPercent(before.cpu.get("all"), now.cpu.get("all")));
  for (const [core, times] of now.cpu) {
    if (core !== "all") add("cpu_core_percent", "%", cpuPercent(before.cpu.get(core), times), core);
  }
  if (now.memory) {
    const { totalBytes, availableBytes, swapTotalBytes, swapFreeBytes } = now.memory;
    add("memory_used_bytes", "B", totalBytes - availableBytes);
    add("memory_percent", "%", (100 * (totalBytes - availableBytes)) / totalBytes);
    if (swapTotalBytes > 0) add("swap_used_bytes", "B", swapTotalBytes - swapFreeBytes);
  }
  add("disk_used_percent", "%", now.diskUsedPercent);
  add("disk_read_bytes_per_second", "B/s", rate(before.disk?.inBytes, now.disk?.inBytes, seconds));
  add("disk_write_bytes_per_second", "B/s", rate(before.disk?.outBytes, now.disk?.outBytes, seconds));
  add("network_rx_bytes_per_second", "B/s", rate(before.network?.inBytes, now.network?.inBytes, seconds));
  add("network_tx_bytes_per_second", "B/s", rate(before.network?.outBytes, now.network?.outBytes, seconds));
  add("load_1m", "processes", now.load?.[0]);
  add("load_5m", "processes", now.load?.[1]);
  add("load_15m", "processes", now.load?.[2]);
  add("processes_running", "processes", now.runningProcesses);
  add("temperature_celsius", "°C", now.celsius);
  add("uptime_seconds", "s", now.uptimeSeconds);
  return readings;
}

export function readingEvents(
  readings: readonly Reading[],
  origin: { deviceId: string; host: string; epochMs: number },
): Event[] {
  return readings.map(({ type, value, unit, core }) => ({
    device_id: origin.deviceId,
    event_type: type,
    value_float: value,
    metadata: { host: origin.host, unit, ...(core === undefined ? {} : { core }) },
    timestamp: origin.epochMs,
  }));
}

function cpuPercent(before: CpuTimes | undefined, now: CpuTimes | undefined): number | undefined {
  if (!before || !now || now.total <= before.total) return undefined;
  // The kernel's idle and iowait may step back a little.
  return Math.min(100, Math.max(0, (100 * (now.busy - before.busy)) / (now.total - before.total)));
}

/** A counter that went back has begun anew (a disk was taken out, an interface came up again): no rate then. */
function rate(before: number | undefined, now: number | undefined, seconds: number): number | undefined {
  if (before === undefined || now === undefined || now < before || seconds <= 0) return undefined;
  return (now - before) / seconds;
}
