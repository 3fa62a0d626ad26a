import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Service, startService, until } from "../../testing/test-service.ts";

const root = join(import.meta.dir, "../..");

export interface CommandResult {
  readonly code: number;
  readonly out: string;
  readonly complaint: string;
}

export interface RunningCommand {
  readonly process: Bun.Subprocess;
  readonly result: Promise<CommandResult>;
}

/** `sluice backup` and `sluice restore`, as processes. */
export function command(
  name: "backup" | "restore",
  dataDirectory: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): RunningCommand {
  const child = Bun.spawn([process.execPath, "cli/sluice.ts", name, ...words], {
    cwd: root,
    env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", DATA_DIR: dataDirectory, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const result = (async () => {
    const [out, complaint] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return { code: await child.exited, out, complaint };
  })();
  return { process: child, result };
}

export interface Load {
  /** Numbers of the events that were acknowledged so far; each is the value of one event. */
  readonly acknowledged: ReadonlySet<number>;
  stop(): Promise<void>;
}

/** Posts events with values 0, 1, 2 … for as long as it is let, about `rate` a second. */
export function startLoad(service: Service, rate: number): Load {
  const acknowledged = new Set<number>();
  const batch = 100;
  let next = 0;
  let stopped = false;
  const running = (async () => {
    while (!stopped) {
      const first = next;
      next += batch;
      const events = Array.from({ length: batch }, (_, index) => ({
        device_id: `device-${(first + index) % 37}`,
        event_type: `type-${(first + index) % 5}`,
        value_float: first + index,
      }));
      const answer = await service.ingest(events).catch(() => undefined);
      if (answer?.status === 202) for (let each = first; each < next; each++) acknowledged.add(each);
      await Bun.sleep((batch / rate) * 1000);
    }
  })();
  return {
    acknowledged,
    async stop() {
      stopped = true;
      await running;
    },
  };
}

/** A service on a directory that a restore has made. */
export async function serveRestored(dataDirectory: string): Promise<Service> {
  const service = await startService({ DATA_DIR: dataDirectory, FLUSH_INTERVAL: "0.05" });
  await until("the restored journal to be stored", async () => {
    const response = await fetch(`${service.url}/api/pipeline`);
    const pipeline = (await response.json()) as { pending: number; clickhouse: string };
    return pipeline.clickhouse === "ok" && pipeline.pending === 0;
  });
  return service;
}

/** Every event of `expected` is there, none is twice, and the rollups count what the table holds. */
export async function verifyStored(service: Service, expected: Iterable<number>): Promise<number> {
  const rows = await service.sql<{ value: number; n: number }>(
    "SELECT value_float AS value, count() AS n FROM telemetry_events WHERE startsWith(event_type, 'type-') GROUP BY value",
  );
  const found = new Map(rows.map(({ value, n }) => [value, n]));
  const missing = [...expected].filter((value) => !found.has(value));
  const doubled = rows.filter(({ n }) => n !== 1);
  if (missing.length > 0 || doubled.length > 0) {
    throw new Error(
      `${missing.length} events are missing (${missing.slice(0, 5)}), ${doubled.length} are not there once`,
    );
  }
  const [total] = await service.sql<Record<string, number>>("SELECT count() AS n FROM telemetry_events");
  for (const table of ["telemetry_1s", "telemetry_1m", "telemetry_1h", "devices"]) {
    const [sum] = await service.sql<Record<string, number>>(`SELECT sum(event_count) AS n FROM ${table}`);
    if (sum?.n !== total?.n) throw new Error(`${table} counts ${sum?.n} events, the table ${total?.n}`);
  }
  return total?.n ?? 0;
}

export interface Folder {
  readonly path: string;
  remove(): void;
}

export function createFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "sluice-backup-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
