import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The wall clock of other processes, moved by libfaketime (Debian's `faketime`). Their timers run as ever. */
export interface MovedClock {
  /** For the environment of every process that is to see it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly now: () => number;
  set(atMs: number): void;
}

/** Null where the library is not installed. */
export function createMovedClock(directory: string): MovedClock | null {
  const library = findLibrary();
  if (library === null) return null;
  const file = join(directory, "clock");
  let offsetMs = 0;
  const write = (): void => writeFileSync(file, `${offsetMs < 0 ? "-" : "+"}${Math.abs(offsetMs / 1000).toFixed(3)}\n`);
  write();
  return {
    environment: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
    now: () => Date.now() + offsetMs,
    set(atMs) {
      offsetMs = Math.round(atMs - Date.now());
      write();
    },
  };
}

/** Whether clocks can be moved here. */
export const isClockMovable = (): boolean => findLibrary() !== null;

function findLibrary(): string | null {
  if (!existsSync("/usr/lib")) return null;
  for (const name of readdirSync("/usr/lib")) {
    const path = join("/usr/lib", name, "faketime/libfaketimeMT.so.1");
    if (existsSync(path)) return path;
  }
  return null;
}
