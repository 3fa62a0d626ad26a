import type { ClickHouseClient } from "@clickhouse/client";
import type { Log } from "../../base/log.ts";
import type { AccessControl } from "../access/access.ts";
import type { DeviceDirectory } from "../alerts/center/device-directory.ts";
import { type AlertsDeps, type LiveAlerts, openAlerts } from "../alerts/open-alerts.ts";
import { openSharedAlerts } from "../alerts/shared/open-shared-alerts.ts";
import type { Config } from "../config/groups.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { IngestCounts } from "../ingest/counts.ts";
import type { PipelineState } from "../ops/pipeline.ts";
import type { Store } from "../store/store.ts";
import type { DataDirectory } from "./data-directory.ts";
import type { LiveFleet } from "./open-fleet.ts";

export interface LiveAlertsDeps {
  readonly log: Log;
  readonly access: AccessControl;
  readonly reader: ClickHouseClient;
  readonly directory: DataDirectory;
  readonly store: Store;
  /** This process among those that share a journal. */
  readonly instance: string;
  readonly fleet: LiveFleet;
  readonly pipeline: PipelineState;
  readonly counts: () => IngestCounts;
  readonly onChange: () => void;
}

/** Refusals for want of room, by their codes. */
const wantOfRoom = ["ring_full", "journal_full", "journal_failed", "overloaded"] as const;

/** The alerts, and what of the service they look at. */
export function openLiveAlerts(deps: LiveAlertsDeps, { alerts, redis }: Config): LiveAlerts & Recovery {
  const { pipeline } = deps;
  const recovery = createRecovery(redis.url !== null);
  const alertsDeps: AlertsDeps = {
    ...deps,
    clickhouse: deps.reader,
    directory: directoryOf(deps.fleet.fleet),
    reading() {
      const { store_lag_seconds, clickhouse, dead_lettered } = pipeline.current();
      const { journalBytes, journalMaxBytes } = pipeline.figures();
      const { rejected } = deps.counts();
      return {
        storeLagSeconds: store_lag_seconds,
        isClickHouseUsable: clickhouse === "ok",
        deadLetters: dead_lettered,
        journalUsed: journalBytes / journalMaxBytes,
        refused: wantOfRoom.reduce((sum, code) => sum + (rejected.get(code) ?? 0), 0),
      };
    },
    accepting: () => pipeline.readiness().refusing.length === 0,
    recovered: () => recovery.isOver,
  };
  const settings = { ...alerts, directory: deps.directory.state };
  const { url } = redis;
  const live =
    url === null
      ? openAlerts(alertsDeps, settings)
      : openSharedAlerts(alertsDeps, settings, async () => {
          const { connectSharedState } = await import("../alerts/shared/shared-state.ts");
          return connectSharedState({ url, instance: deps.instance });
        });
  deps.fleet.onChanges((changes) => {
    for (const { kind, deviceId, metadata } of changes) {
      if (kind === "metadata" || kind === "new") live.rebind(deviceId, metadata);
    }
  });
  return { ...live, recovered: recovery.recovered, stored: recovery.stored };
}

/** The fleet as the alerts see it. */
function directoryOf(fleet: Fleet): DeviceDirectory {
  return {
    get isKnown() {
      return fleet.totals !== null;
    },
    find: (deviceId) => fleet.find(deviceId),
    forEach: (visit) => fleet.forEach(visit),
  };
}

interface Recovery {
  /** Before the first event: so many batches are left of an earlier run, with the epochs from 1 on. */
  recovered(batches: number): void;
  stored(epoch: number): void;
}

/** Knows when what an earlier run left is in ClickHouse. With Redis it belongs to all instances, and nobody waits for it. */
function createRecovery(isShared: boolean): Recovery & { readonly isOver: boolean } {
  let left = Number.POSITIVE_INFINITY;
  let storedEpoch = 0;
  return {
    get isOver() {
      return isShared || storedEpoch >= left;
    },
    recovered(batches) {
      left = batches;
    },
    stored(epoch) {
      storedEpoch = Math.max(storedEpoch, epoch);
    },
  };
}
