import { Worker } from "node:worker_threads";
import { CODES, createException, type Exception, parseException } from "./exception.ts";
import { type ConnectionHandle, NO_PROGRESS, type Progress } from "./library.ts";
import type { Statement, ThreadReply, ThreadRequest } from "./statement.ts";

export type NextChunk =
  | { kind: "chunk"; bytes: Uint8Array<ArrayBuffer>; progress: Progress }
  | { kind: "ended"; progress: Progress }
  | { kind: "failed"; exception: Exception; progress: Progress };

/** A statement under way. `next` after `ended` or `failed` repeats it. */
export interface Execution {
  next(): Promise<NextChunk>;
  /** The consumer has gone. Ends the statement as soon as the engine allows; never throws. */
  cancel(): void;
}

export type StartResult = { ok: true; execution: Execution } | { ok: false; exception: Exception };

export interface LaneOptions {
  name: string;
  threads: number;
  /** Statements that wait for a thread; one more is refused, as ClickHouse does. */
  maxWaiting: number;
  /** A consumer that takes nothing for so long loses its statement, so that it cannot hold a thread for ever. */
  stallTimeoutMs: number;
  libraryPath: string;
  args: readonly string[];
}

export interface LaneDeps {
  /** Stops a statement that is running inside the engine; called again until it has ended. */
  kill: (mark: string) => void;
}

/** Threads of one kind, and the statements that wait for one. */
export interface Lane {
  open(): Promise<boolean>;
  /** `onEnd` is told of the connection that a session's statement ran on. It is not called for a statement that is refused. */
  start(
    statement: Statement,
    signal?: AbortSignal,
    onEnd?: (session: ConnectionHandle | null) => void,
  ): Promise<StartResult>;
  readonly running: number;
  readonly waiting: number;
  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void>;
  /** Closes a session's connection, after what waits before it. */
  drop(handle: ConnectionHandle): void;
  close(): Promise<void>;
}

const KILL_RETRY_MS = 100;

interface Thread {
  post(request: ThreadRequest): void;
  onReply: ((reply: ThreadReply) => void) | null;
}

export function createLane(deps: LaneDeps, options: LaneOptions): Lane {
  const free: Thread[] = [];
  const all: Thread[] = [];
  const queue: ((thread: Thread) => void)[] = [];
  const idlers: (() => void)[] = [];
  let running = 0;

  function spawn(): Thread {
    const worker = new Worker(new URL("./statement-thread.ts", import.meta.url));
    const thread: Thread = {
      post: (request) => worker.postMessage(request),
      onReply: null,
    };
    worker.on("message", (reply: ThreadReply) => thread.onReply?.(reply));
    // A thread that breaks has broken the engine it shares memory with: let the supervisor start a clean process.
    worker.on("error", (error) => {
      throw error;
    });
    return thread;
  }

  function release(thread: Thread): void {
    thread.onReply = null;
    // Handed over, the thread counts as running without a gap, so that nobody takes the lane for idle.
    const next = queue.shift();
    if (next !== undefined) {
      next(thread);
      return;
    }
    free.push(thread);
    running--;
    if (running === 0 && queue.length === 0) for (const done of idlers.splice(0)) done();
  }

  function acquire(signal: AbortSignal | undefined): Promise<Thread | null> {
    const thread = free.pop();
    if (thread !== undefined) {
      running++;
      return Promise.resolve(thread);
    }
    return new Promise((resolve) => {
      const take = (given: Thread) => {
        signal?.removeEventListener("abort", leave);
        resolve(given);
      };
      const leave = () => {
        const at = queue.indexOf(take);
        if (at === -1) return;
        queue.splice(at, 1);
        resolve(null);
      };
      queue.push(take);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  return {
    async open() {
      for (let count = 0; count < options.threads; count++) {
        const thread = spawn();
        const opened = await new Promise<boolean>((resolve) => {
          thread.onReply = (reply) => resolve(reply.kind === "opened");
          thread.post({ kind: "open", libraryPath: options.libraryPath, args: options.args });
        });
        if (!opened) return false;
        thread.onReply = null;
        free.push(thread);
        all.push(thread);
      }
      return true;
    },

    async start(statement, signal, onEnd = () => undefined) {
      if (free.length === 0 && queue.length >= options.maxWaiting) {
        const text = `Too many simultaneous queries. Maximum: ${options.threads} running and ${options.maxWaiting} waiting for ${options.name} statements.`;
        return { ok: false, exception: createException(CODES.TOO_MANY_SIMULTANEOUS_QUERIES, text) };
      }
      const thread = await acquire(signal);
      if (thread === null)
        return { ok: false, exception: createException(CODES.QUERY_WAS_CANCELLED, "The client went away.") };
      const execution = createExecution(thread, statement, {
        kill: deps.kill,
        stallTimeoutMs: options.stallTimeoutMs,
        onEnd(session) {
          release(thread);
          onEnd(session);
        },
      });
      signal?.addEventListener("abort", () => execution.cancel(), { once: true });
      if (signal?.aborted) execution.cancel();
      return { ok: true, execution };
    },

    get running() {
      return running;
    },
    get waiting() {
      return queue.length;
    },

    idle() {
      if (running === 0 && queue.length === 0) return Promise.resolve();
      return new Promise((resolve) => idlers.push(resolve));
    },

    drop(handle) {
      all[0]?.post({ kind: "drop", handle });
    },

    async close() {
      await Promise.all(
        all.map(
          (thread) =>
            new Promise<void>((resolve) => {
              thread.onReply = () => resolve();
              thread.post({ kind: "close" });
            }),
        ),
      );
    },
  };
}

function createExecution(
  thread: Thread,
  statement: Statement,
  hooks: { kill: (mark: string) => void; stallTimeoutMs: number; onEnd: (session: ConnectionHandle | null) => void },
): Execution {
  let progress = NO_PROGRESS;
  let last: NextChunk | null = null;
  let deliver: ((next: NextChunk) => void) | null = null;
  let killing: ReturnType<typeof setInterval> | null = null;
  let stalled: ReturnType<typeof setTimeout> | null = null;

  const watchConsumer = () => {
    stalled = setTimeout(cancel, hooks.stallTimeoutMs);
    // The timer alone must not hold the process.
    stalled.unref();
  };

  function cancel(): void {
    if (last !== null || killing !== null) return;
    thread.post({ kind: "cancel" });
    hooks.kill(statement.mark);
    // The statement may not have reached the engine yet, where alone it can be killed.
    killing = setInterval(() => hooks.kill(statement.mark), KILL_RETRY_MS);
  }

  thread.onReply = (reply) => {
    if (reply.kind === "chunk") {
      progress = reply.progress;
      deliver?.({ kind: "chunk", bytes: reply.bytes, progress });
      deliver = null;
      watchConsumer();
    } else if (reply.kind === "ended") {
      if (killing !== null) clearInterval(killing);
      if (stalled !== null) clearTimeout(stalled);
      progress = reply.progress;
      last =
        reply.failure === null
          ? { kind: "ended", progress }
          : { kind: "failed", exception: parseException(reply.failure), progress };
      deliver?.(last);
      deliver = null;
      hooks.onEnd(reply.session);
    }
  };
  thread.post({ kind: "run", statement });
  watchConsumer();

  return {
    next() {
      if (last !== null) return Promise.resolve(last);
      if (stalled !== null) clearTimeout(stalled);
      return new Promise((resolve) => {
        deliver = resolve;
        thread.post({ kind: "pull" });
      });
    },
    cancel,
  };
}
