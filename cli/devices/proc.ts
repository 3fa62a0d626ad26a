/** The texts under Linux's /proc as numbers. Source: proc(5), and the kernel's Documentation/admin-guide/iostats.rst. */

/** Time since boot, in any unit; only ratios of differences are used. */
export interface CpuTimes {
  readonly busy: number;
  readonly total: number;
}

/** Bytes since boot. */
export interface Transferred {
  readonly inBytes: number;
  readonly outBytes: number;
}

interface Memory {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly swapTotalBytes: number;
  readonly swapFreeBytes: number;
}

/** Always 512, whatever the disk's own sectors are. */
const sectorBytes = 512;

/** /proc/stat: `all` is the machine, the others are named by their number. */
export function parseCpuTimes(stat: string): Map<string, CpuTimes> {
  const times = new Map<string, CpuTimes>();
  for (const line of stat.split("\n")) {
    const match = /^cpu(\d*)\s+(.*)$/.exec(line);
    if (!match) continue;
    // user nice system idle iowait irq softirq steal; guest and guest_nice, which follow, are in user and nice already.
    const fields = match[2]!.split(/\s+/).slice(0, 8).map(Number);
    const total = fields.reduce((sum, field) => sum + field, 0);
    times.set(match[1] || "all", { busy: total - (fields[3] ?? 0) - (fields[4] ?? 0), total });
  }
  return times;
}

/** /proc/stat: processes that run or could. */
export function parseRunningProcesses(stat: string): number | undefined {
  const match = /^procs_running (\d+)$/m.exec(stat);
  return match ? Number(match[1]) : undefined;
}

/** /proc/meminfo. */
export function parseMemory(meminfo: string): Memory | undefined {
  const bytes = (name: string) => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(meminfo);
    return match ? Number(match[1]) * 1024 : undefined;
  };
  const totalBytes = bytes("MemTotal");
  // MemAvailable came with Linux 3.14; what is free is the next best thing.
  const availableBytes = bytes("MemAvailable") ?? bytes("MemFree");
  if (totalBytes === undefined || availableBytes === undefined) return undefined;
  return {
    totalBytes,
    availableBytes,
    swapTotalBytes: bytes("SwapTotal") ?? 0,
    swapFreeBytes: bytes("SwapFree") ?? 0,
  };
}

/** /proc/diskstats, summed over `disks`: read is in, written is out. */
export function parseDisks(diskstats: string, disks: ReadonlySet<string>): Transferred {
  let inBytes = 0;
  let outBytes = 0;
  for (const line of diskstats.split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (!disks.has(fields[2] ?? "")) continue;
    inBytes += Number(fields[5]) * sectorBytes;
    outBytes += Number(fields[9]) * sectorBytes;
  }
  return { inBytes, outBytes };
}

/** Of the names in /sys/block, those whose bytes no other one counts too: no partitions of RAM, no RAID, no mapping. */
export function physicalDisks(names: readonly string[]): Set<string> {
  return new Set(names.filter((name) => !/^(loop|ram|zram|md|dm-|sr|fd|nbd)\d*/.test(name)));
}

/** /proc/net/dev, summed over all interfaces that lead out of the machine. */
export function parseNetwork(dev: string): Transferred {
  let inBytes = 0;
  let outBytes = 0;
  for (const line of dev.split("\n")) {
    const match = /^\s*([^\s:]+):\s*(.*)$/.exec(line);
    // Bridges and the ends of containers' cables carry what the real interface carries again.
    if (!match || /^(lo|ifb|veth|docker|br-|virbr|cni|flannel|cali|tun|tap)/.test(match[1]!)) continue;
    const fields = match[2]!.split(/\s+/);
    inBytes += Number(fields[0]);
    outBytes += Number(fields[8]);
  }
  return { inBytes, outBytes };
}
