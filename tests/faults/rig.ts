import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import { until } from "../../testing/until.ts";
import { createFaultProxy, type FaultProxy } from "./fault-proxy.ts";
import { Ledger } from "./ledger.ts";
import { poisonValue } from "./load.ts";
import { createEngine, createService, embeddedEnginePid, type RestartableProcess } from "./processes.ts";

/** embedded: the engine is the service's child. external: an engine on its own, behind the fault proxy. */
export type Mode = "embedded" | "external";

export interface RigOptions {
  readonly mode: Mode;
  readonly sabotage?: string;
  /** Added to, or replacing, the settings of the campaign. */
  readonly env?: Readonly<Record<string, string>>;
  /** Put the journal on a small file system of its own, so that it can be filled. Needs root. */
  readonly journalOnSmallDisk?: boolean;
  /** In external mode: CLICKHOUSE_URL names two replicas. */
  readonly replica?: boolean;
  /** The whole data directory instead. */
  readonly dataOnSmallDisk?: boolean;
}

/** Times of the campaign's settings, for faults that have to last longer. */
export const insertTimeoutMs = 2_000;
export const shutdownTimeoutMs = 2_000;
const smallDisk = "size=12m,nr_inodes=4096";
/** The embedded engine's files are on it too. */
const smallDataDisk = "size=256m,nr_inodes=65536";
const password = "faults";
/** A machine may be busy with other things; the engine itself takes milliseconds. */
const queryTimeoutMs = 60_000;
const startTimeoutMs = 60_000;

/** One service with its engine, and everything that was sent to it. */
export interface Rig {
  readonly mode: Mode;
  readonly directory: string;
  readonly dataDir: string;
  readonly url: string;
  readonly service: RestartableProcess;
  /** In external mode. */
  readonly engine: RestartableProcess | null;
  readonly proxy: FaultProxy | null;
  /** A second way to the same engine, as to another replica: one Keeper, so one memory of tokens. */
  readonly replica: FaultProxy | null;
  readonly ledger: Ledger;
  /** Null where the journal shares the disk of everything else. */
  readonly smallJournalDisk: string | null;
  /** Null where the data directory is on the disk of everything else. */
  readonly smallDataDisk: string | null;
  enginePid(): number | null;
  /** Milliseconds added to the service's wall clock. */
  setClock(offsetMs: number): void;
  readonly clockWasStepped: boolean;
  /** A replica lagged, and the live view has not asked again for all that it was then told (docs/several-instances.md). */
  readonly viewMayBeShort: boolean;
  /** Rows of one statement, straight from the engine; waits for an engine that is starting. */
  rows(sql: string): Promise<unknown[][]>;
  command(sql: string): Promise<void>;
  get(path: string): Promise<unknown>;
  stop(): Promise<void>;
  remove(): void;
}

/** Each second of the live window is asked for again within this time. */
const viewWholeAgainMs = 60_000;

const openRigs = new Set<Rig>();

/** For a campaign that is interrupted: nothing that it started or mounted may stay. */
export async function stopOpenRigs(): Promise<void> {
  await Promise.all([...openRigs].map((rig) => rig.stop().then(() => rig.remove())));
}

export async function createRig(options: RigOptions): Promise<Rig> {
  const directory = mkdtempSync(join(tmpdir(), "sluice-faults-"));
  const dataDir = join(directory, "data");
  const journalDirectory = join(dataDir, "journal");
  mkdirSync(dataDir, { recursive: true });
  const dataMounted = options.dataOnSmallDisk === true && mountSmallDisk(dataDir, smallDataDisk);
  mkdirSync(journalDirectory, { recursive: true });
  const mounted = options.journalOnSmallDisk === true && mountSmallDisk(journalDirectory, smallDisk);
  const clockFile = join(directory, "clock");
  writeFileSync(clockFile, "0");
  const port = findFreePort();
  const enginePort = findFreePort();
  const proxyPort = findFreePort();
  const logFile = join(directory, "service.log");
  const external = options.mode === "external";
  const engine = external
    ? createEngine({ port: enginePort, dataDir: join(directory, "engine"), password, logFile })
    : null;
  const proxy = external ? await createFaultProxy(enginePort, proxyPort) : null;
  const replica = external && options.replica === true ? await createFaultProxy(enginePort, findFreePort()) : null;
  const service = createService({
    port,
    dataDir,
    logFile,
    preload: join(import.meta.dir, "preload.ts"),
    env: {
      FAULT_CLOCK: clockFile,
      ...(options.sabotage ? { SABOTAGE: options.sabotage } : {}),
      FLUSH_INTERVAL: "0.05",
      SEGMENT_MAX_AGE: "0.5",
      // Batches are small here; all but the first after an empty journal come with states.
      OWN_STATES_ROWS: "1",
      AGGREGATION_INTERVAL: "0.2",
      STREAM_INTERVAL: "0.05",
      INSERT_TIMEOUT: String(insertTimeoutMs / 1000),
      SHUTDOWN_TIMEOUT: String(shutdownTimeoutMs / 1000),
      JOURNAL_MAX_BYTES: "4MiB",
      MAX_BODY_BYTES: "1MiB",
      RING_BYTES: "4MiB",
      CLICKHOUSE_PASSWORD: password,
      ...(proxy
        ? { CLICKHOUSE_URL: [proxy.url, replica?.url].filter(Boolean).join(",") }
        : { EMBEDDED_CLICKHOUSE_PORT: String(enginePort) }),
      ...options.env,
    },
  });
  const url = `http://127.0.0.1:${port}`;
  let clockWasStepped = false;

  async function ask(sql: string): Promise<string> {
    let last = "";
    let text = "";
    await until(
      "the engine answers a query",
      async () => {
        try {
          const response = await fetch(`http://127.0.0.1:${enginePort}/?output_format_json_quote_64bit_integers=0`, {
            method: "POST",
            body: sql,
            headers: { "X-ClickHouse-User": "default", "X-ClickHouse-Key": password },
            signal: AbortSignal.timeout(queryTimeoutMs),
            keepalive: false,
          });
          text = await response.text();
          // A statement that is wrong stays wrong; an engine that is starting answers 503.
          if (response.ok) return true;
          last = `${response.status} ${text}`;
        } catch (error) {
          last = String(error);
        }
        return false;
      },
      queryTimeoutMs,
      () => `${last.slice(0, 500)} to ${sql}`,
    );
    return text;
  }

  const rig: Rig = {
    mode: options.mode,
    directory,
    dataDir,
    url,
    service,
    engine,
    proxy,
    replica,
    ledger: new Ledger(),
    smallJournalDisk: mounted ? journalDirectory : null,
    smallDataDisk: dataMounted ? dataDir : null,
    enginePid: () => (engine ? engine.pid : embeddedEnginePid(dataDir)),
    setClock(offsetMs) {
      clockWasStepped = true;
      writeFileSync(clockFile, String(offsetMs));
    },
    get clockWasStepped() {
      return clockWasStepped;
    },
    get viewMayBeShort() {
      return [proxy, replica].some((each) => each?.laggedWithin(viewWholeAgainMs));
    },
    async rows(sql) {
      const text = await ask(`${sql} FORMAT JSONCompactEachRow`);
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line): unknown[] => JSON.parse(line));
    },
    async command(sql) {
      await ask(sql);
    },
    async get(path) {
      const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(5_000), keepalive: false });
      return response.json();
    },
    async stop() {
      // What was stopped cannot be told to end.
      const pid = rig.enginePid();
      if (pid !== null) process.kill(pid, "SIGCONT");
      service.signal("SIGCONT");
      await service.kill();
      await engine?.kill();
      await proxy?.stop();
      await replica?.stop();
      // The embedded engine ends by itself once its parent is gone.
      await until("the engine has ended", () => rig.enginePid() === null, 10_000);
      openRigs.delete(rig);
    },
    remove() {
      if (mounted) spawnSync("umount", ["-l", journalDirectory]);
      if (dataMounted) spawnSync("umount", ["-l", dataDir]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
  openRigs.add(rig);
  try {
    engine?.spawn();
    await engine?.ready();
    service.spawn();
    await service.ready();
    let why = "";
    const schemaIsApplied = async (): Promise<boolean> => {
      why = JSON.stringify(await rig.get("/readyz"));
      return (await tables(rig)) === 9;
    };
    await until("the schema is applied", schemaIsApplied, startTimeoutMs, () => why);
    await rig.command(
      `ALTER TABLE telemetry_events ADD CONSTRAINT IF NOT EXISTS no_poison CHECK ifNull(value_float, 0) != ${poisonValue}`,
    );
  } catch (error) {
    await rig.stop();
    throw new Error(`${directory}: ${String(error)}`, { cause: error });
  }
  return rig;
}

/** Tables and views of the schema. */
async function tables(rig: Rig): Promise<number> {
  const [row] = await rig.rows(
    "SELECT countIf(name LIKE 'telemetry_%' OR name LIKE 'devices%') FROM system.tables WHERE database = 'default'",
  );
  return Number(row?.[0]);
}

function mountSmallDisk(directory: string, options: string): boolean {
  if (process.getuid?.() !== 0) return false;
  return spawnSync("mount", ["-t", "tmpfs", "-o", options, "sluice-faults", directory]).status === 0;
}

/** Makes a directory take no new names and lose none, root or not; false where the file system knows no such flag. */
export function setImmutable(directory: string, immutable: boolean): boolean {
  return spawnSync("chattr", [immutable ? "+i" : "-i", directory]).status === 0;
}
