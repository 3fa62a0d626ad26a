import type { Log } from "../../base/log.ts";
import type { EmbeddedClickHouse } from "../../workers/engine/supervisor.ts";
import type { Listener } from "../http/handler.ts";
import type { Parts } from "./parts.ts";

/** The embedded engine gets this long to end, even when flushing took all of SHUTDOWN_TIMEOUT. */
const engineStopMinMs = 1_000;
/** What devices did in the last moments is written within this, or found out again after the next start. */
const changesStopMaxMs = 1_000;

/** What a broker has sent is durable long before this is over, or stays with the broker. */
const mqttStopMs = 2_000;

/** A message under way gets this long; it is sent again after the next start. */
const alertsStopMinMs = 500;

export interface ShutdownDeps {
  readonly log: Log;
  readonly parts: Parts;
  readonly embedded: EmbeddedClickHouse | undefined;
  /** Resolves once the writer knows ClickHouse: there is no flushing before. */
  readonly connected: Promise<void>;
  readonly listener: Listener;
  readonly backups: { stop(): Promise<void> };
  readonly access: { stop(): void };
  readonly store: { close(): void };
  readonly directory: { release(): void };
}

/** Ends the parts in the order in which events pass through them, so that what was accepted is flushed; bounded by `timeoutMs`. */
export async function shutDown(deps: ShutdownDeps, timeoutMs: number): Promise<void> {
  const { log, parts } = deps;
  const deadlineMs = performance.now() + timeoutMs;
  const leftMs = (): number => Math.max(0, deadlineMs - performance.now());
  await deps.backups.stop();
  parts.sweep.stop();
  parts.hub.stop();
  parts.ticker.stop();
  parts.epochs.stop();
  // Before the intake closes: what was read from the broker is settled, and acknowledged.
  await parts.mqtt?.stop(Math.min(mqttStopMs, leftMs()));
  await Promise.race([parts.ingest.close(), Bun.sleep(timeoutMs)]);
  parts.epochs.close();
  if (parts.pipeline.current().pending > 0) await Promise.race([deps.connected, Bun.sleep(leftMs())]);
  const rows = await parts.writer.stop(leftMs());
  await parts.ingest.giveUp();
  parts.aggregator.stop();
  parts.instances.share?.stop();
  await parts.fleet.stop(Math.min(changesStopMaxMs, leftMs()));
  parts.instances.lead?.stop();
  if (rows > 0) log("warn", "not everything was flushed; the journal has the rest for the next start", { rows });
  // An engine that does not end in time is left to the end of its input, or to the next start.
  await Promise.race([deps.embedded?.stop(), Bun.sleep(Math.max(engineStopMinMs, leftMs()))]);
  await deps.listener.stop();
  await Promise.race([parts.alerts.stop(), Bun.sleep(Math.max(alertsStopMinMs, leftMs()))]);
  deps.store.close();
  deps.access.stop();
  deps.directory.release();
  log("info", "stopped");
}
