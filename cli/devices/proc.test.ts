import { expect, test } from "bun:test";
import { parseCpuTimes, parseDisks, parseMemory, parseNetwork, parseRunningProcesses, physicalDisks } from "./proc.ts";

const stat = `cpu  100 10 50 800 20 0 15 5 40 2
cpu0 60 5 30 390 5 0 8 2 30 1
cpu1 40 5 20 410 15 0 7 3 10 1
intr 12345 0 0
ctxt 99
procs_running 3
procs_blocked 0
`;

test("busy is everything but idle and waiting for a disk, and a guest is not counted twice", () => {
  expect(parseCpuTimes(stat)).toEqual(
    new Map([
      ["all", { busy: 180, total: 1000 }],
      ["0", { busy: 105, total: 500 }],
      ["1", { busy: 75, total: 500 }],
    ]),
  );
  expect(parseRunningProcesses(stat)).toBe(3);
  expect(parseCpuTimes("")).toEqual(new Map());
  expect(parseRunningProcesses("")).toBeUndefined();
});

test("memory is in bytes, and an old kernel's free memory stands in for the available", () => {
  const text =
    "MemTotal:       2000 kB\nMemFree:         500 kB\nMemAvailable:   1500 kB\nSwapTotal:  100 kB\nSwapFree:  40 kB\n";
  expect(parseMemory(text)).toEqual({
    totalBytes: 2_048_000,
    availableBytes: 1_536_000,
    swapTotalBytes: 102_400,
    swapFreeBytes: 40_960,
  });
  expect(parseMemory("MemTotal: 2000 kB\nMemFree: 500 kB\n")).toMatchObject({
    availableBytes: 512_000,
    swapTotalBytes: 0,
  });
  expect(parseMemory("")).toBeUndefined();
});

test("a disk's bytes are counted once: neither its partitions nor what is mapped onto it", () => {
  const diskstats = `   7       0 loop0 9 0 1000 0 9 0 1000 0 0 0 0
 259       0 nvme0n1 10 0 200 5 20 0 400 7 0 3 12 0 0 0 0 0 0
 259       1 nvme0n1p1 10 0 200 5 20 0 400 7 0 3 12 0 0 0 0 0 0
   8       0 sda 1 0 8 0 1 0 16 0 0 0 0
 253       0 dm-0 10 0 200 5 20 0 400 7 0 3 12
`;
  const disks = physicalDisks(["loop0", "nvme0n1", "sda", "dm-0", "zram0", "md127", "sr0", "ram1"]);
  expect(disks).toEqual(new Set(["nvme0n1", "sda"]));
  expect(parseDisks(diskstats, disks)).toEqual({ inBytes: 208 * 512, outBytes: 416 * 512 });
});

test("the network is what leaves the machine, also where the number touches the colon", () => {
  const dev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 500 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0
  eth0:1000 2 0 0 0 0 0 0 30 1 0 0 0 0 0 0
 wlan0: 5 2 0 0 0 0 0 0 7 1 0 0 0 0 0 0
docker0: 400 2 0 0 0 0 0 0 700 1 0 0 0 0 0 0
veth1a2b: 400 2 0 0 0 0 0 0 700 1 0 0 0 0 0 0
`;
  expect(parseNetwork(dev)).toEqual({ inBytes: 1005, outBytes: 37 });
});
