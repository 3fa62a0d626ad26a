import { join } from "node:path";
import type { SnapshotResult } from "./snapshot.ts";
import { BackupError } from "./write.ts";

/** The running service's socket for programs of the same user on the same machine. */
export const controlSocket = (dataDirectory: string): string => join(dataDirectory, "control.sock");

export interface HeldSnapshot {
  readonly snapshot: (SnapshotResult & { ok: true })["snapshot"];
  /** The service lets go of it; it does the same when this process ends. */
  release(): Promise<void>;
}

/** Asks the service that runs on this directory for a snapshot. It is held for as long as the answer is not read to its end. */
export async function requestSnapshot(dataDirectory: string): Promise<HeldSnapshot> {
  const response = await fetch("http://sluice/snapshot", {
    method: "POST",
    unix: controlSocket(dataDirectory),
  }).catch((error: unknown) => {
    throw new BackupError(
      `no service answers on ${controlSocket(dataDirectory)}: is one running on this directory? (${error})`,
    );
  });
  const reader = response.body?.getReader();
  if (reader === undefined) throw new BackupError("the service gave an empty answer");
  const result = JSON.parse(await readLine(reader)) as SnapshotResult;
  if (!result.ok) throw new BackupError(result.reason);
  return { snapshot: result.snapshot, release: () => reader.cancel() };
}

async function readLine(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new BackupError("the service broke off its answer");
    text += decoder.decode(value, { stream: true });
    const end = text.indexOf("\n");
    if (end !== -1) return text.slice(0, end);
  }
}
