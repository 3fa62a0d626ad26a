import { chmodSync, rmSync } from "node:fs";
import type { Log } from "../../base/log.ts";
import { controlSocket } from "../../workers/backup/request.ts";
import { removeSnapshots, type SnapshotResult } from "../../workers/backup/snapshot.ts";
import { errorResponse } from "../http/errors.ts";

export interface ControlDeps {
  readonly log: Log;
  readonly snapshot: (name: string) => Promise<SnapshotResult>;
}

export interface ControlOptions {
  readonly dataDirectory: string;
  /** False with an external ClickHouse: its tables are not files of this machine. */
  readonly embedded: boolean;
}

/** Longer than an insert may take; past it there is something wrong with ClickHouse, and a backup has to wait. */
const snapshotTimeoutMs = 120_000;
const beatMs = 500;
const newline = 0x0a;
/** An asker that was killed is noticed within this. */
const releaseWaitMs = 5_000;
/** What the kernel takes for the path of a socket. */
const pathMaxBytes = 107;
const onlyEmbedded = "CLICKHOUSE_URL is set: back up that server with its own BACKUP";

/**
 * `DATA_DIR/control.sock`: what programs of the same user ask of the running service. POST /snapshot answers a line of JSON
 * and keeps the answer open; the snapshot is let go when the asker closes it, or dies.
 */
export function createControlSocket(deps: ControlDeps, options: ControlOptions): { stop(): Promise<void> } {
  const { dataDirectory } = options;
  const path = controlSocket(dataDirectory);
  /** One at a time: each holds disk space for as long as it is copied. */
  let held: { readonly name: string; readonly asker: AbortSignal } | null = null;

  /** Waits for the one before; for longer when its asker has gone, since it is then let go as soon as it is there. */
  async function untilFree(): Promise<boolean> {
    for (let waitedMs = 0; held !== null; waitedMs += beatMs) {
      if (waitedMs >= (held.asker.aborted ? snapshotTimeoutMs : releaseWaitMs)) return false;
      await Bun.sleep(beatMs);
    }
    return true;
  }

  async function take(asker: AbortSignal): Promise<SnapshotResult> {
    if (!options.embedded) return { ok: false, reason: onlyEmbedded };
    if (!(await untilFree())) return { ok: false, reason: "another backup is being made" };
    // The engine writes other characters than these in its own way.
    const name = `backup_${crypto.randomUUID().replaceAll("-", "")}`;
    held = { name, asker };
    const asked = deps.snapshot(name);
    const late = Bun.sleep(snapshotTimeoutMs).then(() => null);
    const result = await Promise.race([asked, late]);
    if (result?.ok) return result;
    // One that comes after all is of no use to anybody.
    void asked.then(() => release(name));
    return (
      result ?? { ok: false, reason: "ClickHouse is busy or unavailable; a backup needs a moment without an insert" }
    );
  }

  function release(name: string): void {
    removeSnapshots(dataDirectory, name);
    if (held?.name === name) held = null;
  }

  async function answer(request: Request): Promise<Response> {
    if (request.method !== "POST" || new URL(request.url).pathname !== "/snapshot") {
      return errorResponse("not_found", "POST /snapshot");
    }
    const result = await take(request.signal);
    const line = new TextEncoder().encode(`${JSON.stringify(result)}\n`);
    if (!result.ok) return new Response(line);
    const { name } = result.snapshot;
    const letGo = (): void => {
      clearInterval(beat);
      release(name);
    };
    // An asker that has gone is noticed by what is sent to it, and by the runtime, whichever is first.
    const beat = setInterval(() => stream?.enqueue(new Uint8Array([newline])), beatMs);
    let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
    request.signal.addEventListener("abort", letGo);
    if (request.signal.aborted) letGo();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        stream = controller;
        controller.enqueue(line);
      },
      cancel: letGo,
    });
    return new Response(body);
  }

  const server = open();
  function open(): Bun.Server<undefined> | null {
    try {
      removeSnapshots(dataDirectory);
      rmSync(path, { force: true });
      if (Buffer.byteLength(path) > pathMaxBytes) throw new Error(`the path is over ${pathMaxBytes} bytes`);
      const serving = Bun.serve({
        unix: path,
        fetch(request, self) {
          self.timeout(request, 0);
          return answer(request);
        },
      });
      chmodSync(path, 0o600);
      return serving;
    } catch (error) {
      deps.log("warn", "the control socket cannot be opened: no backups while running", { path, error: String(error) });
      return null;
    }
  }

  return {
    async stop() {
      await server?.stop(true);
      removeSnapshots(dataDirectory);
      rmSync(path, { force: true });
    },
  };
}
