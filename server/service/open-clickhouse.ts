import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import type { Log } from "../../base/log.ts";
import type { ClickHouseAddress } from "../../workers/clickhouse-client.ts";
import { createEmbeddedClickHouse, type EmbeddedClickHouse } from "../../workers/engine/supervisor.ts";
import type { ClickHouseSettings } from "../config/clickhouse.ts";

/**
 * The embedded engine, or what CLICKHOUSE_URL names. Does not wait for either: events are taken while it is away. `onUnusable`: the
 * engine cannot be started with these settings, which is known only later.
 */
export async function openClickHouse(
  deps: { readonly log: Log; readonly onUnusable: (reason: string) => void },
  settings: ClickHouseSettings,
  dataDirectory: string,
): Promise<{ address: ClickHouseAddress; embedded: EmbeddedClickHouse | undefined }> {
  const { user, database } = settings;
  if (settings.urls) {
    const { urls, password, cluster } = settings;
    return { address: { urls, user, password, database, cluster }, embedded: undefined };
  }
  const port = settings.embeddedPort || findFreePort();
  const password = settings.password || crypto.randomUUID();
  const embedded = createEmbeddedClickHouse(
    { log: deps.log },
    { dataDir: dataDirectory, port, user, password, database },
  );
  void embedded.started.then((started) => {
    if (!started.ok) deps.onUnusable(`EMBEDDED_CLICKHOUSE_PORT=${port}: ${started.reason}`);
  });
  const handover = join(dataDirectory, "clickhouse", "handover");
  return { address: { urls: [`http://127.0.0.1:${port}`], user, password, database, handover }, embedded };
}
