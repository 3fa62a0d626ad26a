import type { ConnectionHandle, Progress } from "./library.ts";

/** One statement, ready for a statement thread. */
export interface Statement {
  sql: string;
  /** Used when the statement has no FORMAT clause of its own. */
  format: string;
  /** `reader`: one reading statement, checked by the engine's parser, run with the reader's grants and `readonly`. */
  access: "service" | "reader";
  /** Set on the session before the statement, in this order. */
  settings: readonly (readonly [name: string, value: string])[];
  /** `{name:Type}` placeholders, in ClickHouse's escaped text form, as in `param_name=` of a URL. */
  params: readonly (readonly [name: string, value: string])[];
  /** The current database while it runs; `null`: the session's own. */
  database: string | null;
  /** Marks the statement in `system.processes`, so that it can be killed from another thread. */
  mark: string;
  queryId: string;
  /** A connection that stays open afterwards, as it was but for what `sql` itself has set. `handle` null: not opened yet. */
  session: StatementSession | null;
}

export interface StatementSession {
  readonly handle: ConnectionHandle | null;
  /** Only a reading statement may run. `readonly` would stay set on the session. */
  readonly readOnly: boolean;
}

/** From the engine's main thread to a statement thread. */
export type ThreadRequest =
  | { kind: "open"; libraryPath: string; args: readonly string[] }
  | { kind: "run"; statement: Statement }
  /** The consumer can take one more chunk. */
  | { kind: "pull" }
  /** The consumer has gone; the thread answers `ended` all the same. */
  | { kind: "cancel" }
  /** Closes a session's connection. */
  | { kind: "drop"; handle: ConnectionHandle }
  | { kind: "close" };

/** From a statement thread to the engine's main thread. */
export type ThreadReply =
  | { kind: "opened" }
  | { kind: "refused" }
  /** Progress is the total so far. */
  | { kind: "chunk"; bytes: Uint8Array<ArrayBuffer>; progress: Progress }
  /** Follows every `run`, whatever became of it. */
  | { kind: "ended"; progress: Progress; failure: string | null; session: ConnectionHandle | null }
  | { kind: "closed" };
