import { dlopen, FFIType } from "bun:ffi";

/** The few calls of the C library that the runtime has no way to make. */
export interface Libc {
  /** Sets the process's own environment, which a library in it reads; `process.env` is a copy. */
  setEnvironment(name: string, value: string): void;
  /** Ends the process without its exit hooks. */
  exit(code: number): never;
}

export function createLibc(): Libc {
  const { symbols } = dlopen(process.platform === "darwin" ? "libSystem.dylib" : "libc.so.6", {
    setenv: { args: [FFIType.cstring, FFIType.cstring, FFIType.i32], returns: FFIType.i32 },
    _exit: { args: [FFIType.i32], returns: FFIType.void },
  });
  return {
    setEnvironment(name, value) {
      symbols.setenv(Buffer.from(`${name}\0`), Buffer.from(`${value}\0`), 1);
    },
    exit(code) {
      symbols._exit(code);
      throw new Error("_exit returned");
    },
  };
}
