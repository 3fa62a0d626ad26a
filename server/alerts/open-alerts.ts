import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import type { AnyElysia } from "elysia";
import type { Log } from "../../base/log.ts";
import type { AlertsUpdate } from "../../contract/alerts.ts";
import type { Access } from "../access/access.ts";
import { ConfigError } from "../config/config-error.ts";
import { Refusal } from "../query/refusal.ts";
import type { Store } from "../store/store.ts";
import { createAskPast } from "./backtest/past.ts";
import { openAliveMark } from "./center/alive-mark.ts";
import type { DeviceDirectory } from "./center/device-directory.ts";
import type { AlertFigures } from "./center/figures.ts";
import { HeardBefore } from "./center/heard-before.ts";
import type { PipelineReading } from "./center/pipeline-watch.ts";
import type { Tap } from "./event-tap.ts";
import { replayPast } from "./replay-past.ts";
import { createAlertSession, type SessionSettings } from "./session.ts";
import { createRepository } from "./state/repository.ts";

export interface AlertsDeps {
  readonly log: Log;
  readonly store: Store;
  readonly clickhouse: ClickHouseClient;
  readonly access: Pick<Access, "editor">;
  readonly directory: DeviceDirectory;
  readonly reading: () => PipelineReading;
  /** Devices can deliver now. */
  readonly accepting: () => boolean;
  /** What the journal of an earlier run held is stored. */
  readonly recovered: () => boolean;
  /** The stream's `event: alerts` is different now. */
  readonly onChange: () => void;
}

export interface AlertsSettings extends SessionSettings {
  readonly directory: string;
}

export interface LiveAlerts {
  readonly tap: Tap;
  /** What needs a viewer, and what needs an editor to change. */
  readonly controllers: readonly AnyElysia[];
  readonly editingControllers: readonly AnyElysia[];
  /** This instance decides; of several one does. */
  isDeciding(): boolean;
  figures(): AlertFigures;
  update(): AlertsUpdate;
  /** A device's metadata have changed. */
  rebind(deviceId: string, metadata: Readonly<Record<string, string>>): void;
  /** Devices can deliver from here on. */
  open(): Promise<void>;
  /** Reads ALERTS_FILE again. */
  reload(): void;
  stop(): Promise<void>;
}

export const tickMs = 100;
/** Durable events wait so long at most for what came before the start. */
export const pastMaxMs = 10_000;
export const pastLookMs = 500;

/** The alerts with everything they need: state, delivery, routes. Throws `ConfigError` when ALERTS_FILE is wrong. */
export function openAlerts(deps: AlertsDeps, settings: AlertsSettings): LiveAlerts {
  const { log } = deps;
  const now = Date.now;
  const directory = new HeardBefore(deps.directory);
  const alive = openAliveMark(join(settings.directory, "alive"));
  const ask = createAskPast(deps.clickhouse);
  const session = createAlertSession(
    {
      ...deps,
      repository: createRepository(deps.store),
      directory,
      ask,
      heardUntilMs: now,
      maySend: () => true,
    },
    settings,
    { lastAliveMs: alive.lastMs },
  );
  const { center } = session;
  let timer: Timer | undefined;
  let reading: Promise<void> = Promise.resolve();
  let isPastRead = false;

  const reason = session.loadFile();
  if (reason !== null) throw new ConfigError(`ALERTS_FILE=${settings.file}: ${reason}`);

  /**
   * Events that an earlier run took and did not decide on, what windows held, when devices were heard. Tried until ClickHouse has
   * told; meanwhile windows and silence are not judged.
   */
  async function readPast(startedMs: number): Promise<void> {
    const lastAliveMs = alive.lastMs;
    while (timer !== undefined && !isPastRead) {
      if (deps.recovered() && (await tryReadPast(startedMs, lastAliveMs))) {
        isPastRead = true;
        center.tap.release();
      } else await Bun.sleep(pastLookMs);
    }
  }

  async function tryReadPast(startedMs: number, lastAliveMs: number | null): Promise<boolean> {
    if (lastAliveMs === null) return true;
    try {
      const read = await replayPast({ ask, evaluator: center.evaluator, log }, { startedMs, lastAliveMs });
      if (read) center.evaluator.trustWindows(now());
      await directory.read(ask, startedMs, lastAliveMs);
      return true;
    } catch (error) {
      if (error instanceof Refusal) return false;
      throw error;
    }
  }

  return {
    tap: center.tap,
    controllers: session.controllers,
    editingControllers: session.editingControllers,
    isDeciding: () => true,
    figures: () => center.figures(),
    update: session.update,
    rebind: (deviceId, metadata) => center.rebind(deviceId, metadata),
    async open() {
      const startedMs = now();
      center.tap.hold();
      center.open();
      timer = setInterval(() => {
        alive.mark(now());
        session.tick(isPastRead);
      }, tickMs);
      setTimeout(() => center.tap.release(), pastMaxMs).unref();
      reading = readPast(startedMs).catch((error: unknown) => {
        log("error", "what came before the start could not be read for the alerts", { error: String(error) });
        center.tap.release();
      });
    },
    reload: () => reloadFile(log, settings.file, session.loadFile),
    async stop() {
      clearInterval(timer);
      timer = undefined;
      await reading;
      await center.stop();
      alive.mark(now());
    },
  };
}

export function reloadFile(log: Log, file: string, load: () => string | null): void {
  if (file === "") return;
  const reason = load();
  if (reason === null) log("info", "ALERTS_FILE: read again", { file });
  else log("error", "ALERTS_FILE: the file is wrong; what was read before stays in force", { file, reason });
}
