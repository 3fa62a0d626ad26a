import type { Progress } from "./library.ts";

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
  /** Becomes the session's current database. */
  database: string;
  /** Marks the statement in `system.processes`, so that it can be killed from another thread. */
  mark: string;
}

/** From the engine's main thread to a statement thread. */
export type ThreadRequest =
  | { kind: "open"; libraryPath: string; args: readonly string[] }
  | { kind: "run"; statement: Statement }
  /** The consumer can take one more chunk. */
  | { kind: "pull" }
  /** The consumer has gone; the thread answers `ended` all the same. */
  | { kind: "cancel" }
  | { kind: "close" };

/** From a statement thread to the engine's main thread. */
export type ThreadReply =
  | { kind: "opened" }
  | { kind: "refused" }
  /** Progress is the total so far. */
  | { kind: "chunk"; bytes: Uint8Array<ArrayBuffer>; progress: Progress }
  /** Follows every `run`, whatever became of it. */
  | { kind: "ended"; progress: Progress; failure: string | null }
  | { kind: "closed" };
