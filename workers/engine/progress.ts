import type { WatchedExecution } from "./engine.ts";
import { progressJson } from "./http-answer.ts";
import type { Execution, NextChunk } from "./lane.ts";
import type { Progress } from "./library.ts";

/** `interactive_delay` of the engine: so often a client is told how far its statement is. */
const LINE_INTERVAL_MS = 100;

/**
 * The same result with a line of progress before each block for which more was read, and while the statement computes. For the
 * formats whose readers expect such lines.
 */
export function withProgressLines(execution: WatchedExecution): Execution {
  const startedMs = performance.now();
  let told = 0;
  let known = 0;
  let pending: Promise<NextChunk> | null = null;

  const lineOf = (progress: Progress): Buffer => {
    told = progress.readRows;
    known = Math.max(known, progress.totalRows);
    const json = progressJson({ ...progress, resultRows: 0, totalRows: known }, performance.now() - startedMs);
    return Buffer.from(`{"progress":${withoutZeros(json)}}\n`);
  };

  return {
    cancel: () => execution.cancel(),
    async next() {
      for (;;) {
        pending ??= execution.next();
        const next = await Promise.race([pending, later()]);
        if (next === null) {
          const progress = await execution.progress();
          if (progress !== null && progress.readRows > told)
            return { kind: "chunk", bytes: copyOf(lineOf(progress)), progress };
          continue;
        }
        pending = null;
        if (next.kind !== "chunk" || next.progress.readRows <= told) return next;
        return { ...next, bytes: copyOf(Buffer.concat([lineOf(next.progress), next.bytes])) };
      }
    },
  };
}

const later = (): Promise<null> => Bun.sleep(LINE_INTERVAL_MS).then(() => null);

const copyOf = (bytes: Buffer): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

/** As the engine writes these lines. */
const withoutZeros = (json: string): string =>
  JSON.stringify(JSON.parse(json), (_, value: unknown) => (value === "0" ? undefined : value));

/** Calls `send` with a header line of progress every `intervalMs`, until `stop`. */
export function watchProgress(
  execution: WatchedExecution,
  intervalMs: number,
  send: (line: string) => void,
): { stop(): void } {
  let isAsking = false;
  let isOver = false;
  const timer = setInterval(async () => {
    if (isAsking) return;
    isAsking = true;
    const progress = await execution.progress();
    isAsking = false;
    if (!isOver && progress !== null) send(`X-ClickHouse-Progress: ${progressJson(progress, progress.elapsedMs)}\r\n`);
  }, intervalMs);
  return {
    stop() {
      isOver = true;
      clearInterval(timer);
    },
  };
}
