import type { ClickHouseClient } from "@clickhouse/client";
import type { Log } from "../../base/log.ts";
import { ChangeGroups, type KeptChange } from "../fleet/change-groups.ts";
import { createChangeLog } from "../fleet/change-log.ts";
import { createFleet, type Fleet } from "../fleet/fleet.ts";
import { createFleetStore } from "../fleet/fleet-store.ts";
import type { DeviceChange } from "../fleet/presence.ts";
import type { Aggregator } from "../live-view/aggregator.ts";
import { encodeChanges } from "../stream/frames.ts";
import type { StreamHub } from "../stream/hub.ts";

export interface LiveFleetDeps {
  readonly log: Log;
  readonly client: ClickHouseClient;
  readonly receipts: () => Aggregator["receipts"];
  readonly hub: () => Pick<StreamHub, "announce">;
  readonly accepting: () => boolean;
  /** With several instances: see `FleetDeps`. */
  readonly storeLagMs: (() => number) | null;
  /** Of several instances one writes the changes down. */
  readonly leads: () => boolean;
}

/** The fleet with what follows from it: changes are grouped, kept in ClickHouse, sent on the stream. */
export interface LiveFleet {
  readonly fleet: Fleet;
  /** True when the totals have changed. */
  tick(): boolean;
  /** Hears of every device's change, at once and one by one. */
  onChanges(listen: (changes: readonly DeviceChange[]) => void): void;
  stop(timeoutMs: number): Promise<void>;
}

export function openFleet(deps: LiveFleetDeps, options: { readonly cluster: string | null }): LiveFleet {
  const { log, client } = deps;
  const listeners: ((changes: readonly DeviceChange[]) => void)[] = [];
  const groups = new ChangeGroups({ groupSize: (group) => fleet.groupSize(group) });
  const changeLog = createChangeLog(
    { client, log, sleep: (ms) => Bun.sleep(ms) },
    { table: options.cluster === null ? "device_changes" : "device_changes_local" },
  );
  const fleet = createFleet({
    now: Date.now,
    monotonicNow: () => performance.now(),
    receipts: deps.receipts,
    store: createFleetStore({ client, log }),
    accepting: deps.accepting,
    ...(deps.storeLagMs === null ? {} : { storeLagMs: deps.storeLagMs }),
    onChanges(changes) {
      groups.add(changes, performance.now());
      for (const listen of listeners) listen(changes);
    },
    onError: (error) =>
      log("error", "the state of the fleet could not be brought up to date", { error: String(error) }),
  });

  function tell(changes: readonly KeptChange[]): void {
    if (changes.length === 0) return;
    if (deps.leads()) changeLog.write(changes);
    const shown = changes.flatMap(({ subject: _, ...change }) => (change.detail.folded ? [] : [change]));
    deps.hub().announce(shown.length, (missed) => encodeChanges(shown, missed));
  }

  return {
    fleet,
    tick() {
      const changed = fleet.tick();
      tell(groups.take(performance.now()));
      return changed;
    },
    onChanges: (listen) => void listeners.push(listen),
    async stop(timeoutMs) {
      fleet.stop();
      tell(groups.take(performance.now(), true));
      await changeLog.stop(timeoutMs);
    },
  };
}
