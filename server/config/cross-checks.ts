import { relative, resolve } from "node:path";
import { ConfigError } from "./config-error.ts";
import type { Config, Environment } from "./groups.ts";
import { limits as limitsGroup, maxFrameBytes } from "./limits.ts";
import { isLoopback } from "./listen.ts";

/** What no single setting can tell, and the values that follow from others. */
export function crossChecked(config: Config, environment: Environment): Config {
  checkExposure(config);
  checkRole(config);
  checkSmtp(config);
  checkTls(config);
  checkBackup(config);
  return {
    ...config,
    clickHouse: { ...config.clickHouse, urls: clickHouseUrls(config) },
    limits: { ...config.limits, ringBytes: ringBytes(config, environment) },
  };
}

function checkExposure({ access, listen }: Config): void {
  const open = access.ingestKeys === "" || access.viewerKeys === "";
  if (!open || listen.allowAnonymous || isLoopback(listen.host)) return;
  throw new ConfigError(
    `HOST=${listen.host}: not allowed without INGEST_KEYS and VIEWER_KEYS; use a loopback address, or ALLOW_ANONYMOUS=1`,
  );
}

function checkRole({ listen, redis }: Config): void {
  if (listen.role === "all" || redis.url !== null) return;
  throw new ConfigError(`ROLE=${listen.role}: not allowed without REDIS_URL; use all`);
}

function checkSmtp({ alerts }: Config): void {
  if (alerts.smtpUrl === null || alerts.smtpFrom !== "") return;
  throw new ConfigError("SMTP_FROM=: not allowed with SMTP_URL; use an e-mail address");
}

function checkBackup({ backup, storage, clickHouse, redis }: Config): void {
  if (backup.root === "") return;
  const refuse = (why: string): never => {
    throw new ConfigError(`BACKUP_DIR=${backup.root}: not allowed${why}`);
  };
  const inside = relative(resolve(storage.dataDirectory), resolve(backup.root));
  if (!inside.startsWith("..")) refuse("; use a directory outside of DATA_DIR");
  if (clickHouse.urls || clickHouse.host !== "") refuse(" with CLICKHOUSE_URL; back up that server");
  if (redis.url !== null) refuse(" with REDIS_URL; back up Redis and ClickHouse");
}

function checkTls({ tls }: Config): void {
  if ((tls.certFile === "") === (tls.keyFile === "")) return;
  throw new ConfigError(`TLS_CERT=${tls.certFile}: not allowed; set both TLS_CERT and TLS_KEY, or neither`);
}

function clickHouseUrls({ clickHouse: { urls, host, port } }: Config): readonly string[] | null {
  if (urls || host === "") return urls;
  const url = `http://${host}:${port}`;
  if (!URL.canParse(url)) throw new ConfigError(`CLICKHOUSE_HOST=${host}: not allowed; use a host name`);
  return [url];
}

/** A request is one frame, and the ring must take the largest twice: where RING_BYTES is not set it grows to that. */
function ringBytes({ limits }: Config, environment: Environment): number {
  const given = environment.RING_BYTES;
  const refuse = (allowed: string): never => {
    throw new ConfigError(`RING_BYTES=${given}: not allowed; use ${allowed}`);
  };
  if (!Number.isInteger(Math.log2(limits.ringBytes))) return refuse(limitsGroup.settings.ringBytes.kind.allowed);
  const needed = maxFrameBytes(limits) * 2;
  if (needed <= limits.ringBytes) return limits.ringBytes;
  const enough = 2 ** Math.ceil(Math.log2(needed));
  return given ? refuse(`at least ${enough} with these MAX_BODY_BYTES and MAX_EVENTS_PER_REQUEST`) : enough;
}
