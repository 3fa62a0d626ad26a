import type { ClickHouseClient } from "@clickhouse/client";
import type { AnyElysia } from "elysia";
import type { Log } from "../../base/log.ts";
import type { AlertsUpdate } from "../../contract/alerts.ts";
import type { Access } from "../access/access.ts";
import { readAlertsFile } from "./alerts-file.ts";
import { createBacktest } from "./backtest/backtest.ts";
import type { AskPast } from "./backtest/past.ts";
import { AlertCenter } from "./center/alert-center.ts";
import type { HeardBefore } from "./center/heard-before.ts";
import type { PipelineReading } from "./center/pipeline-watch.ts";
import { createAlertEditingRoutes } from "./editing-routes.ts";
import { createMailer } from "./notify/email.ts";
import { createPost } from "./notify/http-post.ts";
import { createPusher } from "./notify/push.ts";
import { openPushBook } from "./notify/push-book.ts";
import { createSender, type Sender } from "./notify/sender.ts";
import { createAlertReadingRoutes } from "./reading-routes.ts";
import type { Repository } from "./state/repository.ts";
import { viewUpdate } from "./views.ts";

export interface SessionDeps {
  readonly log: Log;
  readonly repository: Repository;
  readonly clickhouse: ClickHouseClient;
  readonly ask: AskPast;
  readonly access: Pick<Access, "editor">;
  readonly directory: HeardBefore;
  readonly reading: () => PipelineReading;
  /** Devices can deliver now, and what they deliver is heard of. */
  readonly accepting: () => boolean;
  /** What the journal of an earlier run held is stored. */
  readonly recovered: () => boolean;
  /** Up to when all events are known that were durable by then. */
  readonly heardUntilMs: () => number;
  /** False: another instance may be sending by now. */
  readonly maySend: () => boolean;
  /** The stream's `event: alerts` is different now. */
  readonly onChange: () => void;
}

export interface SessionSettings {
  readonly file: string;
  readonly allowPrivateWebhooks: boolean;
  readonly smtpUrl: string | null;
  readonly smtpFrom: string;
}

/** One evaluator over one state, from its start or takeover until it ends. */
export interface AlertSession {
  readonly center: AlertCenter;
  /** What needs a viewer, and what needs an editor to change. */
  readonly controllers: readonly AnyElysia[];
  readonly editingControllers: readonly AnyElysia[];
  update(): AlertsUpdate;
  /** Reads ALERTS_FILE; why it cannot be used, or null. */
  loadFile(): string | null;
  /** Call ten times a second. `pastIsRead`: what came before this session is decided on. */
  tick(pastIsRead: boolean): void;
}

const attemptTimeoutMs = 15_000;

export function createAlertSession(
  deps: SessionDeps,
  settings: SessionSettings,
  options: { readonly lastAliveMs: number | null },
): AlertSession {
  const { log, repository, directory } = deps;
  const now = Date.now;
  const pushes = openPushBook(repository);
  const mail =
    settings.smtpUrl === null
      ? null
      : createMailer({ url: settings.smtpUrl, from: settings.smtpFrom, timeoutMs: attemptTimeoutMs });
  const center = new AlertCenter(
    {
      ...deps,
      send: createSessionSender(deps, settings, { pushes, mail }),
      now,
      monotonicNow: () => performance.now(),
      random: Math.random,
    },
    options,
  );
  const backtest = createBacktest({ ask: deps.ask, directory, now });

  function loadFile(): string | null {
    if (settings.file === "") {
      const outcome = center.registry.replaceFile({}, now());
      const wasUsed = outcome.ok && outcome.changes.length > 0;
      if (wasUsed)
        center.change(outcome.changes, { who: "ALERTS_FILE", action: "no file any more", target: "", detail: null });
      return null;
    }
    const read = readAlertsFile(settings.file);
    if (!read.ok) return read.reason;
    const outcome = center.registry.replaceFile(read.file, now());
    if (!outcome.ok) return outcome.message;
    center.change(outcome.changes, { who: "ALERTS_FILE", action: "read file", target: settings.file, detail: null });
    return null;
  }

  return {
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
    loadFile,
    tick(pastIsRead) {
      try {
        center.tick();
        if (!pastIsRead || center.isJudgingSilence || !directory.isKnown || !deps.recovered()) return;
        center.judgeSilence();
      } catch (error) {
        log("error", "the alerts could not be brought up to date", { error: String(error) });
      }
    },
  };
}

function createSessionSender(
  { maySend }: SessionDeps,
  settings: SessionSettings,
  { pushes, mail }: { pushes: ReturnType<typeof openPushBook>; mail: ReturnType<typeof createMailer> | null },
): Sender {
  const post = createPost({ allowPrivate: settings.allowPrivateWebhooks, timeoutMs: attemptTimeoutMs });
  const push = createPusher({
    post,
    keys: pushes.keys,
    contact: settings.smtpFrom === "" ? "https://github.com/sluice/sluice" : `mailto:${settings.smtpFrom}`,
    subscriptions: () => pushes.records,
    onGone: (endpoint) => pushes.unsubscribe(endpoint),
  });
  const send = createSender({ post, mail, push });
  return async (outgoing) =>
    maySend()
      ? send(outgoing)
      : { ok: false, kind: "unreachable", message: "another instance sends now", retryAfter: null };
}
