import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import type { AnyElysia } from "elysia";
import type { Log } from "../../base/log.ts";
import type { AlertsUpdate } from "../../contract/alerts.ts";
import type { Access } from "../access/access.ts";
import { ConfigError } from "../config/config-error.ts";
import { Refusal } from "../query/refusal.ts";
import type { Store } from "../store/store.ts";
import { readAlertsFile } from "./alerts-file.ts";
import { createBacktest } from "./backtest/backtest.ts";
import { createAskPast } from "./backtest/past.ts";
import { AlertCenter } from "./center/alert-center.ts";
import { openAliveMark } from "./center/alive-mark.ts";
import type { DeviceDirectory } from "./center/device-directory.ts";
import { HeardBefore } from "./center/heard-before.ts";
import type { PipelineReading } from "./center/pipeline-watch.ts";
import { createAlertEditingRoutes } from "./editing-routes.ts";
import type { Tap } from "./event-tap.ts";
import { createMailer } from "./notify/email.ts";
import { createPost } from "./notify/http-post.ts";
import { createPusher } from "./notify/push.ts";
import { openPushBook } from "./notify/push-book.ts";
import { createSender } from "./notify/sender.ts";
import { createAlertReadingRoutes } from "./reading-routes.ts";
import { replayPast } from "./replay-past.ts";
import { createRepository } from "./state/repository.ts";
import { viewUpdate } from "./views.ts";

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

export interface AlertsSettings {
  readonly file: string;
  readonly allowPrivateWebhooks: boolean;
  readonly smtpUrl: string | null;
  readonly smtpFrom: string;
  readonly directory: string;
}

export interface LiveAlerts {
  readonly tap: Tap;
  readonly center: AlertCenter;
  /** What needs a viewer, and what needs an editor to change. */
  readonly controllers: readonly AnyElysia[];
  readonly editingControllers: readonly AnyElysia[];
  update(): AlertsUpdate;
  /** Devices can deliver from here on. */
  open(): void;
  /** Reads ALERTS_FILE again. */
  reload(): void;
  stop(): Promise<void>;
}

const attemptTimeoutMs = 15_000;
const tickMs = 100;
/** Durable events wait so long at most for what came before the start. */
const pastMaxMs = 10_000;
const pastLookMs = 500;

/** The alerts with everything they need: state, delivery, routes. Throws `ConfigError` when ALERTS_FILE is wrong. */
export function openAlerts(deps: AlertsDeps, settings: AlertsSettings): LiveAlerts {
  const { log } = deps;
  const now = Date.now;
  const repository = createRepository(deps.store);
  const directory = new HeardBefore(deps.directory);
  const alive = openAliveMark(join(settings.directory, "alive"));
  const pushes = openPushBook(repository);
  const post = createPost({ allowPrivate: settings.allowPrivateWebhooks, timeoutMs: attemptTimeoutMs });
  const mail =
    settings.smtpUrl === null
      ? null
      : createMailer({ url: settings.smtpUrl, from: settings.smtpFrom, timeoutMs: attemptTimeoutMs });
  const push = createPusher({
    post,
    keys: pushes.keys,
    contact: settings.smtpFrom === "" ? "https://github.com/sluice/sluice" : `mailto:${settings.smtpFrom}`,
    subscriptions: () => pushes.records,
    onGone: (endpoint) => pushes.unsubscribe(endpoint),
  });
  const center = new AlertCenter(
    {
      ...deps,
      directory,
      repository,
      send: createSender({ post, mail, push }),
      now,
      monotonicNow: () => performance.now(),
      random: Math.random,
    },
    { lastAliveMs: alive.lastMs },
  );
  const ask = createAskPast(deps.clickhouse);
  const backtest = createBacktest({ ask, directory, now });
  let timer: Timer | undefined;
  let reading: Promise<void> = Promise.resolve();
  let isPastRead = false;

  function loadFile(): string | null {
    const read = readAlertsFile(settings.file);
    if (!read.ok) return read.reason;
    const outcome = center.registry.replaceFile(read.file, now());
    if (!outcome.ok) return outcome.message;
    center.change(outcome.changes, { who: "ALERTS_FILE", action: "read file", target: settings.file, detail: null });
    return null;
  }

  if (settings.file !== "") {
    const reason = loadFile();
    if (reason !== null) throw new ConfigError(`ALERTS_FILE=${settings.file}: ${reason}`);
  } else {
    const outcome = center.registry.replaceFile({}, now());
    const wasUsed = outcome.ok && outcome.changes.length > 0;
    if (wasUsed)
      center.change(outcome.changes, { who: "ALERTS_FILE", action: "no file any more", target: "", detail: null });
  }

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

  function tick(): void {
    alive.mark(now());
    try {
      center.tick();
      if (!isPastRead || center.isJudgingSilence || !directory.isKnown || !deps.recovered()) return;
      center.judgeSilence();
    } catch (error) {
      log("error", "the alerts could not be brought up to date", { error: String(error) });
    }
  }

  return {
    tap: center.tap,
    center,
    controllers: [createAlertReadingRoutes({ center, repository, backtest, pushes, now })],
    editingControllers: [
      createAlertEditingRoutes({
        center,
        access: deps.access,
        now,
        subscriptions: () => pushes.records.length,
        hasMail: mail !== null,
      }),
    ],
    update: () => viewUpdate(center),
    open() {
      const startedMs = now();
      center.tap.hold();
      center.open();
      timer = setInterval(tick, tickMs);
      setTimeout(() => center.tap.release(), pastMaxMs).unref();
      reading = readPast(startedMs).catch((error: unknown) => {
        log("error", "what came before the start could not be read for the alerts", { error: String(error) });
        center.tap.release();
      });
    },
    reload() {
      if (settings.file === "") return;
      const reason = loadFile();
      if (reason === null) log("info", "ALERTS_FILE: read again", { file: settings.file });
      else
        log("error", "ALERTS_FILE: the file is wrong; what was read before stays in force", {
          file: settings.file,
          reason,
        });
    },
    async stop() {
      clearInterval(timer);
      timer = undefined;
      await reading;
      await center.stop();
      alive.mark(now());
    },
  };
}
