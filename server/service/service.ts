import type { Log } from "../../base/log.ts";
import packageJson from "../../package.json" with { type: "json" };
import { connectClickHouse } from "../../workers/clickhouse-client.ts";
import type { EmbeddedClickHouse } from "../../workers/engine/supervisor.ts";
import { alertMigrations } from "../alerts/state/migrations.ts";
import type { Config } from "../config/groups.ts";
import { withoutCredentials } from "../config/secrets.ts";
import { openStore } from "../store/store.ts";
import { viewMigrations } from "../views/view-store.ts";
import { assembleParts } from "./assembly.ts";
import { openDataDirectory } from "./data-directory.ts";
import { claimFormat } from "./data-format.ts";
import { openFront } from "./front.ts";
import { openAccess } from "./open-access.ts";
import { openBackups } from "./open-backups.ts";
import { openClickHouse } from "./open-clickhouse.ts";
import { openSql } from "./open-sql.ts";
import { recoverJournal } from "./recovery.ts";
import { shutDown } from "./shutdown.ts";
import type { Welcome } from "./welcome.ts";

const { version } = packageJson;
const queryTimeoutMs = 20_000;

export interface Service {
  /** What to tell about the first start on a data directory; null on a later one. */
  readonly welcome: Welcome | null;
  /** Takes no more events, flushes within SHUTDOWN_TIMEOUT, ends everything. Later calls change nothing. */
  stop(why: string): Promise<void>;
  /** Reads the files of keys and the certificate again. */
  reload(): void;
}

export interface ServiceDeps {
  readonly log: Log;
  /** It cannot go on: a restart recovers from the journal. */
  readonly onFailed: () => void;
  /** A setting turned out to be unusable after the start. */
  readonly onUnusable: (reason: string) => void;
}

/**
 * The composition root: starts the parts, connects them, recovers what an earlier run left, listens. Resolves once events are
 * taken; throws `ConfigError` where a setting cannot be used.
 */
export async function startService(deps: ServiceDeps, config: Config): Promise<Service> {
  const { log } = deps;
  const instance = crypto.randomUUID();
  let closing = false;
  // An engine that is stopped while it starts is no reason to complain.
  const onUnusable = (reason: string): void => {
    if (!closing) deps.onUnusable(reason);
  };

  const directory = openDataDirectory(config.storage.dataDirectory);
  claimFormat({ log, release: version }, directory.path);
  const doors = openAccess({ log }, config, directory.access);
  const { access } = doors;
  const { address, embedded } = await openClickHouse({ log, onUnusable }, config.clickHouse, directory.path);
  const reader = connectClickHouse(address, {
    url: address.urls[0] as string,
    database: config.clickHouse.database,
    requestTimeoutMs: queryTimeoutMs,
  });
  const store = openStore({ directory: directory.state }, [alertMigrations, viewMigrations]);
  const parts = assembleParts(
    {
      log,
      store,
      onFailed: deps.onFailed,
      access,
      reader,
      embedded,
      directory,
      closing: () => closing,
      instance,
      version,
    },
    config,
  );
  const recovered = await recoverJournal({ log, parts, instance }, config.redis.url);
  parts.alerts.recovered(recovered);
  const connected = connectWhenStarted(embedded, () => parts.writer.connect(address));
  const backups = openBackups({ log, writer: parts.writer, version }, config, directory.path);
  parts.mqtt?.start();
  const sql = openSql(address, embedded !== undefined, () => parts.pipeline.current().starting === true);
  // Before the first request: an event must find the alarms of the run before.
  await parts.alerts.open();
  const listener = await openFront({ log, parts, doors, reader, store, sql, version }, config);
  parts.fleet.fleet.open();
  const clickhouse = String(withoutCredentials(address.urls));
  log("info", `Sluice is listening on ${listener.url.origin}`, { recovered, clickhouse });

  let stopped: Promise<void> | undefined;
  return {
    welcome: directory.fresh
      ? {
          url: listener.url.origin,
          dataDirectory: directory.path,
          keysNeeded: config.access.ingestKeys !== "",
        }
      : null,
    stop(why) {
      const timeoutMs = config.storage.shutdownTimeoutMs;
      if (!closing) log("info", `${why}: no more events are taken; flushing`, { timeout_seconds: timeoutMs / 1000 });
      closing = true;
      stopped ??= shutDown({ log, parts, embedded, connected, listener, backups, access, store, directory }, timeoutMs);
      return stopped;
    },
    reload() {
      access.reload();
      listener.reload();
      parts.alerts.reload();
    },
  };
}

/** Until the embedded engine has first answered there is nothing to try, and nothing wrong. */
async function connectWhenStarted(embedded: EmbeddedClickHouse | undefined, connect: () => void): Promise<void> {
  if (embedded === undefined || (await embedded.started).ok) connect();
}
