import { CString, dlopen, FFIType, type Pointer, ptr, read, toArrayBuffer } from "bun:ffi";

/**
 * libchdb, the ClickHouse engine as a shared library, through its C interface (`chdb.h`).
 *
 * The C interface rather than chdb's Node addon, for three reasons found by measurement: the addon starts a stream
 * synchronously (a scalar subquery then blocks the event loop for as long as it runs), it runs statements on the
 * runtime's own thread pool (two slow statements on two cores starve every other), and it hides written rows.
 * Every call here blocks its thread, so only statement threads make them.
 */
const SYMBOLS = {
  chdb_set_signal_handlers_enabled: { args: [FFIType.i32], returns: FFIType.void },
  chdb_connect: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.ptr },
  chdb_close_conn: { args: [FFIType.ptr], returns: FFIType.void },
  chdb_query_n: {
    args: [FFIType.ptr, FFIType.ptr, FFIType.u64, FFIType.ptr, FFIType.u64],
    returns: FFIType.ptr,
  },
  chdb_stream_query_n: {
    args: [FFIType.ptr, FFIType.ptr, FFIType.u64, FFIType.ptr, FFIType.u64],
    returns: FFIType.ptr,
  },
  chdb_stream_fetch_result: { args: [FFIType.ptr, FFIType.ptr], returns: FFIType.ptr },
  chdb_stream_cancel_query: { args: [FFIType.ptr, FFIType.ptr], returns: FFIType.void },
  chdb_destroy_query_result: { args: [FFIType.ptr], returns: FFIType.void },
  chdb_result_buffer: { args: [FFIType.ptr], returns: FFIType.ptr },
  chdb_result_length: { args: [FFIType.ptr], returns: FFIType.u64_fast },
  chdb_result_storage_rows_read: { args: [FFIType.ptr], returns: FFIType.u64_fast },
  chdb_result_storage_bytes_read: { args: [FFIType.ptr], returns: FFIType.u64_fast },
  chdb_result_rows_read: { args: [FFIType.ptr], returns: FFIType.u64_fast },
  chdb_result_rows_written: { args: [FFIType.ptr], returns: FFIType.u64_fast },
  chdb_result_bytes_written: { args: [FFIType.ptr], returns: FFIType.u64_fast },
  chdb_result_error: { args: [FFIType.ptr], returns: FFIType.ptr },
  chdb_classify_query_n: {
    args: [FFIType.ptr, FFIType.ptr, FFIType.u64, FFIType.ptr, FFIType.u64, FFIType.ptr],
    returns: FFIType.i32,
  },
} as const;

/** What a statement would do, by the engine's own parser (`chdb_query_class`). */
export type StatementClass = "read" | "write" | "write_global" | "control" | "unparsed";
const STATEMENT_CLASSES: readonly StatementClass[] = ["read", "write", "write_global", "control", "unparsed"];

export interface StatementAnalysis {
  /** Statements in the text; 0 when it does not parse. */
  count: number;
  class: StatementClass;
}

/** Rows and bytes of one result, or of one chunk of a streamed one. */
export interface Progress {
  readRows: number;
  readBytes: number;
  writtenRows: number;
  writtenBytes: number;
  resultRows: number;
  /** What the engine expects to read; 0: not known. */
  totalRows: number;
}

export const NO_PROGRESS: Progress = {
  readRows: 0,
  readBytes: 0,
  writtenRows: 0,
  writtenBytes: 0,
  resultRows: 0,
  totalRows: 0,
};

export type Chunk =
  | { ok: true; bytes: Uint8Array<ArrayBuffer>; progress: Progress }
  /** `message` is ClickHouse's own: `Code: 60. DB::Exception: … (UNKNOWN_TABLE)`. */
  | { ok: false; message: string };

export interface Connection {
  /** Runs one or several statements to their end and gives the whole result. */
  run(sql: string, format: string): Chunk;
  /** Runs one reading statement and gives its result block by block. An empty `bytes` is the end. */
  stream(sql: string, format: string): { ok: true; fetch(): Chunk; close(): void } | { ok: false; message: string };
  /** Parses without running. */
  analyse(sql: string): StatementAnalysis;
  /** For another thread of this process to attach to, while this one makes no call. */
  readonly handle: ConnectionHandle;
  close(): void;
}

/** The address of a connection in this process. */
export type ConnectionHandle = Pointer;

export interface Library {
  /** `null` when the engine refuses to start; its reason is then on stderr. Settings as `--name=value`. */
  connect(args: readonly string[]): Connection | null;
  attach(handle: ConnectionHandle): Connection;
}

/** A pointer as calls give and take it. */
type Handle = Pointer | bigint;

const encoder = new TextEncoder();
/** `ptr()` refuses an empty array, and the engine is given the length anyway. */
const bytesOf = (text: string): Uint8Array => encoder.encode(`${text}\0`);

export function createLibrary(path: string): Library {
  const { symbols: lib } = dlopen(path, SYMBOLS);
  // The host process owns its signals: the supervisor's SIGTERM must reach our handler and not the engine's.
  lib.chdb_set_signal_handlers_enabled(0);

  function errorOf(result: Handle): string | null {
    const message = lib.chdb_result_error(result);
    if (message === null) return null;
    const text = new CString(message).toString();
    return text === "" ? null : text;
  }

  /** Copies the bytes out and frees the engine's result. */
  function takeChunk(result: Handle | null): Chunk {
    if (result === null)
      return { ok: false, message: "Code: 1002. DB::Exception: the engine gave no result. (UNKNOWN_EXCEPTION)" };
    try {
      const message = errorOf(result);
      if (message !== null) return { ok: false, message };
      const length = Number(lib.chdb_result_length(result));
      const buffer = length === 0 ? null : lib.chdb_result_buffer(result);
      const bytes = buffer === null ? new Uint8Array(0) : new Uint8Array(toArrayBuffer(buffer, 0, length).slice(0));
      return {
        ok: true,
        bytes,
        progress: {
          readRows: Number(lib.chdb_result_storage_rows_read(result)),
          readBytes: Number(lib.chdb_result_storage_bytes_read(result)),
          writtenRows: Number(lib.chdb_result_rows_written(result)),
          writtenBytes: Number(lib.chdb_result_bytes_written(result)),
          resultRows: Number(lib.chdb_result_rows_read(result)),
          totalRows: 0,
        },
      };
    } finally {
      lib.chdb_destroy_query_result(result);
    }
  }

  function connect(args: readonly string[]): Connection | null {
    const strings = ["clickhouse", ...args].map(bytesOf);
    const argv = new BigUint64Array(strings.map((bytes) => BigInt(ptr(bytes))));
    const handle = lib.chdb_connect(strings.length, ptr(argv));
    return handle === null ? null : attach(handle as Pointer);
  }

  function attach(handle: ConnectionHandle): Connection {
    const connection = read.ptr(handle, 0) as Pointer;

    return {
      handle,
      run(sql, format) {
        const query = bytesOf(sql);
        const name = bytesOf(format);
        const result = lib.chdb_query_n(connection, ptr(query), query.length - 1, ptr(name), name.length - 1);
        return takeChunk(result);
      },
      stream(sql, format) {
        const query = bytesOf(sql);
        const name = bytesOf(format);
        const stream = lib.chdb_stream_query_n(connection, ptr(query), query.length - 1, ptr(name), name.length - 1);
        if (stream === null)
          return { ok: false, message: "Code: 1002. DB::Exception: the engine gave no stream. (UNKNOWN_EXCEPTION)" };
        const message = errorOf(stream);
        if (message !== null) {
          lib.chdb_destroy_query_result(stream);
          return { ok: false, message };
        }
        let ended = false;
        return {
          ok: true,
          fetch() {
            const chunk = takeChunk(lib.chdb_stream_fetch_result(connection, stream));
            if (!chunk.ok || chunk.bytes.length === 0) ended = true;
            return chunk;
          },
          close() {
            if (!ended) lib.chdb_stream_cancel_query(connection, stream);
            lib.chdb_destroy_query_result(stream);
          },
        };
      },
      analyse(sql) {
        const query = bytesOf(sql);
        // chdb_query_analysis_v1: struct_size, statement_count, flags, query_class.
        const analysis = new Uint32Array([16, 0, 0, 4]);
        const state = lib.chdb_classify_query_n(connection, ptr(query), query.length - 1, null, 0, ptr(analysis));
        const statementClass = state === 0 ? STATEMENT_CLASSES[analysis[3] ?? 4] : undefined;
        return { count: analysis[1] ?? 0, class: statementClass ?? "unparsed" };
      },
      close() {
        lib.chdb_close_conn(handle);
      },
    };
  }

  return { connect, attach };
}
