import { createHash } from "node:crypto";
import type { ClickHouseClient } from "@clickhouse/client";
import type { Log } from "../../base/log.ts";
import type { KeptChange } from "./change-groups.ts";

/** Changes that wait for ClickHouse: an outage of a day with a device that comes or goes every second. Past it the oldest go. */
const waitingMax = 100_000;
const rowsMax = 5_000;
const retryMinMs = 500;
const retryMaxMs = 15_000;
const insertTimeoutMs = 20_000;

export interface ChangeLogDeps {
  readonly client: Pick<ClickHouseClient, "insert">;
  readonly log: Log;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Writes changes to `device_changes`, in order, until ClickHouse has them. */
export interface ChangeLog {
  write(changes: readonly KeptChange[]): void;
  readonly stats: { readonly waiting: number; readonly written: number; readonly dropped: number };
  /** One more attempt for what waits, at most so long. */
  stop(timeoutMs: number): Promise<void>;
}

/**
 * A retry sends the same rows under the same token; and rows that are written a second time, by another instance or after a
 * crash, are the same rows: the table's key is time, kind and subject.
 */
export function createChangeLog(deps: ChangeLogDeps, options: { readonly table: string }): ChangeLog {
  let waiting: KeptChange[] = [];
  let written = 0;
  let dropped = 0;
  let writing: Promise<void> | null = null;
  let stopped = false;

  async function insert(rows: readonly KeptChange[]): Promise<boolean> {
    const values = rows.map(({ at, kind, subject, detail }) => ({
      at: at.slice(0, -1).replace("T", " "),
      kind,
      device_id: subject,
      detail: JSON.stringify(detail),
    }));
    try {
      await deps.client.insert({
        table: options.table,
        columns: ["at", "kind", "device_id", "detail"],
        values,
        format: "JSONEachRow",
        abort_signal: AbortSignal.timeout(insertTimeoutMs),
        clickhouse_settings: {
          async_insert: 0,
          insert_deduplicate: 1,
          insert_deduplication_token: createHash("sha256").update(JSON.stringify(values)).digest("hex"),
        },
      });
      return true;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      deps.log("debug", "changes of devices wait for ClickHouse", { changes: waiting.length, error: error.message });
      return false;
    }
  }

  async function drain(): Promise<void> {
    let delayMs = retryMinMs;
    while (waiting.length > 0) {
      const rows = waiting.slice(0, rowsMax);
      if (await insert(rows)) {
        // While they were sent, the oldest may have been given up.
        const sent = new Set(rows);
        waiting = waiting.filter((change) => !sent.has(change));
        written += rows.length;
        delayMs = retryMinMs;
      } else {
        if (stopped) return;
        await deps.sleep(delayMs);
        delayMs = Math.min(retryMaxMs, delayMs * 2);
      }
    }
  }

  function start(): void {
    writing ??= drain().finally(() => {
      writing = null;
    });
  }

  return {
    write(changes) {
      waiting.push(...changes);
      if (waiting.length > waitingMax) {
        if (dropped === 0) deps.log("warn", "too many changes of devices wait for ClickHouse; the oldest are given up");
        dropped += waiting.length - waitingMax;
        waiting = waiting.slice(-waitingMax);
      }
      if (waiting.length > 0 && !stopped) start();
    },
    get stats() {
      return { waiting: waiting.length, written, dropped };
    },
    async stop(timeoutMs) {
      stopped = true;
      start();
      await Promise.race([writing, deps.sleep(timeoutMs)]);
    },
  };
}
