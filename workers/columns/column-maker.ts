import { requireAssembly } from "../../base/wasm/load.ts";
import type { BatchPart } from "../journal/journal.ts";
import { moduleUrl } from "./batch-blocks.ts";
import { prepareBlockDirectory } from "./make-columns.ts";
import type { ColumnReply, ColumnRequest, MadeColumns, RowSource } from "./protocol.ts";

export interface ColumnOptions {
  readonly wantsStates: boolean;
  /** See `ColumnRequest`. */
  readonly directory: string | null;
}

/** Makes rows into columns, on another thread. */
export interface ColumnMaker {
  /** Rejects when the rows cannot be read, or the blocks not be written. */
  make(part: BatchPart, options: ColumnOptions): Promise<MadeColumns>;
  stop(): void;
}

export const rowsIn = ({ batch, range }: BatchPart): number =>
  range === null ? batch.rowCount : range.to - range.from;

export async function sourceOf({ batch, range }: BatchPart): Promise<RowSource> {
  if (batch.place !== null) return { kind: "place", place: batch.place, range };
  const chunks: Uint8Array[] = [];
  for await (const chunk of batch.body(range ?? undefined) as AsyncIterable<Uint8Array>) chunks.push(chunk.slice());
  return { kind: "bytes", chunks };
}

/** Starts the thread with the first batch, and looks at once whether it could. One that breaks fails what waits for it; the next batch gets another. */
export function createColumnMaker(): ColumnMaker {
  requireAssembly(moduleUrl);
  const waiting = new Map<number, PromiseWithResolvers<MadeColumns>>();
  const prepared = new Set<string>();
  let worker: Worker | undefined;
  let nextId = 1;

  function failAll(reason: string): void {
    for (const { reject } of waiting.values()) reject(new Error(reason));
    waiting.clear();
  }

  function start(): Worker {
    const started = new Worker(new URL("./thread.ts", import.meta.url).href, { name: "columns" });
    started.onmessage = ({ data }: MessageEvent<ColumnReply>) => {
      const asked = waiting.get(data.id);
      waiting.delete(data.id);
      if (data.ok) asked?.resolve(data.made);
      else asked?.reject(new Error(`a batch cannot be made into columns: ${data.message}`));
    };
    started.onerror = (event) => {
      started.terminate();
      if (worker === started) worker = undefined;
      failAll(`the thread that makes columns failed: ${event.message}`);
    };
    return started;
  }

  return {
    async make(part, { wantsStates, directory }) {
      if (directory !== null && !prepared.has(directory)) {
        prepareBlockDirectory(directory);
        prepared.add(directory);
      }
      const source = await sourceOf(part);
      worker ??= start();
      const asked = Promise.withResolvers<MadeColumns>();
      const request: ColumnRequest = { id: nextId++, source, rowCount: rowsIn(part), wantsStates, directory };
      waiting.set(request.id, asked);
      worker.postMessage(
        request,
        source.kind === "bytes" ? source.chunks.map((chunk) => chunk.buffer as ArrayBuffer) : [],
      );
      return asked.promise;
    },
    stop() {
      worker?.terminate();
      worker = undefined;
      failAll("stopped");
    },
  };
}
