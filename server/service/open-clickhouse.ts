import { findFreePort } from "../../base/free-port.ts";
import type { Log } from "../../base/log.ts";
import type { ClickHouseAddress } from "../../workers/clickhouse-client.ts";
import { createEmbeddedClickHouse, type EmbeddedClickHouse } from "../../workers/engine/supervisor.ts";
import type { Config } from "../config/config.ts";

/**
 * The embedded engine, or what CLICKHOUSE_URL names. Does not wait for either: events are taken while it is away. `onUnusable`: the
 * engine cannot be started with these settings, which is known only later.
 */
export async function openClickHouse(
  deps: { readonly log: Log; readonly onUnusable: (reason: string) => void },
  config: Config,
  dataDirectory: string,
): Promise<{ address: ClickHouseAddress; embedded: EmbeddedClickHouse | undefined }> {
  const user = config.CLICKHOUSE_USER;
  const database = config.CLICKHOUSE_DB;
  if (config.CLICKHOUSE_URL) {
    const cluster = config.CLICKHOUSE_CLUSTER;
    const address = { urls: config.CLICKHOUSE_URL, user, password: config.CLICKHOUSE_PASSWORD, database, cluster };
    return { address, embedded: undefined };
  }
  const port = config.EMBEDDED_CLICKHOUSE_PORT || findFreePort();
  const password = config.CLICKHOUSE_PASSWORD || crypto.randomUUID();
  const embedded = createEmbeddedClickHouse(
    { log: deps.log },
    { dataDir: dataDirectory, port, user, password, database },
  );
  void embedded.started.then((started) => {
    if (!started.ok) deps.onUnusable(`EMBEDDED_CLICKHOUSE_PORT=${port}: ${started.reason}`);
  });
  return { address: { urls: [`http://127.0.0.1:${port}`], user, password, database }, embedded };
}
