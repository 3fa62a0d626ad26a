import { describe, expect, test } from "bun:test";
import { diskShortage, gateByDisk } from "./disk-room.ts";
import type { Inserter } from "./inserter.ts";

const MiB = 2 ** 20;
const GiB = 2 ** 30;

describe("inserts and a disk that is nearly full", () => {
  test("wait below the reserve, or a twentieth of a small disk", () => {
    expect(diskShortage({ freeBytes: GiB, totalBytes: 100 * GiB }, 0, GiB)).toBeNull();
    expect(diskShortage({ freeBytes: GiB - 1, totalBytes: 100 * GiB }, 0, GiB)).toContain("1023 MiB free");
    expect(diskShortage({ freeBytes: 13 * MiB, totalBytes: 256 * MiB }, 0, GiB)).toBeNull();
    expect(diskShortage({ freeBytes: 12 * MiB, totalBytes: 256 * MiB }, 0, GiB)).toContain("need 12 MiB");
    expect(diskShortage({ freeBytes: 0, totalBytes: GiB }, 0, 0)).toBeNull();
  });

  test("go on where storing the journal makes the room", () => {
    expect(diskShortage({ freeBytes: 100 * MiB, totalBytes: 100 * GiB }, 2 * GiB, GiB)).toBeNull();
  });

  test("the gate opens when there is room, says what it waits for, and gives up when told to stop", async () => {
    let shortage: string | null = "full";
    let stop = false;
    const stored: unknown[] = [];
    const inserter = {
      store: async () => {
        stored.push(1);
        return { deadLettered: 0, attempts: 1 };
      },
    } as unknown as Inserter;
    const told: string[] = [];
    const gate = gateByDisk(inserter, {
      shortage: () => shortage,
      pause: () => Bun.sleep(1),
      log: (level) => told.push(level),
      onStatus: () => undefined,
    });
    const batch = {} as Parameters<Inserter["store"]>[0];
    const waiting = gate.store(batch, () => stop);
    await Bun.sleep(10);
    expect([stored.length, gate.diskShortage]).toEqual([0, "full"]);
    shortage = null;
    expect(await waiting).toEqual({ deadLettered: 0, attempts: 1 });
    expect([stored.length, gate.diskShortage]).toEqual([1, null]);
    expect(told).toEqual(["error", "info"]);
    shortage = "full";
    stop = true;
    expect(await gate.store(batch, () => stop)).toBeUndefined();
  });
});
