import { dlopen, FFIType } from "bun:ffi";
import { closeSync, openSync } from "node:fs";

const LOCK_EXCLUSIVE = 2;
const LOCK_NONBLOCKING = 4;
const PRIO_PROCESS = 0;

/** The few calls of the C library that the runtime has no way to make. */
export interface Libc {
  /** Sets the process's own environment, which a library in it reads; `process.env` is a copy. */
  setEnvironment(name: string, value: string): void;
  /** Locks a file for as long as the process lives, however it ends; creates it. `false`: another process has it. */
  tryLock(path: string): boolean;
  /** Of one thread, on Linux. `false`: not allowed, or it has ended. */
  setNice(threadId: number, nice: number): boolean;
  /** Ends the process without its exit hooks. */
  exit(code: number): never;
}

export function createLibc(): Libc {
  const { symbols } = dlopen(process.platform === "darwin" ? "libSystem.dylib" : "libc.so.6", {
    setenv: { args: [FFIType.cstring, FFIType.cstring, FFIType.i32], returns: FFIType.i32 },
    flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    setpriority: { args: [FFIType.i32, FFIType.u32, FFIType.i32], returns: FFIType.i32 },
    _exit: { args: [FFIType.i32], returns: FFIType.void },
  });
  return {
    setEnvironment(name, value) {
      symbols.setenv(Buffer.from(`${name}\0`), Buffer.from(`${value}\0`), 1);
    },
    tryLock(path) {
      const file = openSync(path, "a", 0o600);
      if (symbols.flock(file, LOCK_EXCLUSIVE | LOCK_NONBLOCKING) === 0) return true;
      closeSync(file);
      return false;
    },
    setNice: (threadId, nice) => symbols.setpriority(PRIO_PROCESS, threadId, nice) === 0,
    exit(code) {
      symbols._exit(code);
      throw new Error("_exit returned");
    },
  };
}
