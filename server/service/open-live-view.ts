import type { ClickHouseClient } from "@clickhouse/client";
import type { Log } from "../../base/log.ts";
import type { Update } from "../../contract/stream.ts";
import type { WriterClient } from "../../workers/client.ts";
import type { Config } from "../config/groups.ts";
import { type Aggregator, createAggregator } from "../live-view/aggregator.ts";
import { createDeviceReader } from "../live-view/device-reader.ts";
import { shardEpochs } from "../live-view/epoch.ts";
import { createRecoveredFold } from "../live-view/recovered-rows.ts";
import { buildRollupQuery } from "../live-view/stored-window.ts";
import { createStreamHub } from "../stream/hub.ts";
import { createEpochClock } from "./epoch-clock.ts";
import { createLiveTicker } from "./live-ticker.ts";
import type { LiveFleet } from "./open-fleet.ts";
import type { Instances, Parts } from "./parts.ts";
import { createStoredClock } from "./stored-clock.ts";

export interface LiveViewDeps {
  readonly log: Log;
  readonly reader: ClickHouseClient;
  readonly writer: WriterClient;
  readonly instances: Instances;
  readonly fleet: LiveFleet;
  /** To be called once everything is made. */
  readonly parts: () => Parts;
}

/** Devices of other instances come from ClickHouse only. */
const sharedDevicesRefreshMs = 3_000;

/** The live view from durable events to open streams, with the clocks that move it. */
export function openLiveView(
  deps: LiveViewDeps,
  config: Config,
): Pick<Parts, "aggregator" | "foldRecovered" | "storedClock" | "hub" | "ticker" | "epochs"> {
  const { writer, instances, fleet, parts } = deps;
  const aggregator = createLiveAggregator(deps, config);
  const storedClock = createStoredClock({
    now: Date.now,
    pending() {
      const { accepted, durable, pending } = parts().pipeline.current();
      return pending + accepted - durable;
    },
    lagMs: () => 1000 * parts().pipeline.current().store_lag_seconds,
  });
  const hub = createStreamHub(
    {
      now: Date.now,
      random: Math.random,
      buildUpdate: (limit) =>
        withFleet(aggregator.buildUpdate(limit, parts().pipeline.current()), { aggregator, fleet }),
      buildAlerts: () => parts().alerts.update(),
    },
    config.liveView,
  );
  return {
    aggregator,
    foldRecovered: createRecoveredFold({
      foldRows: (epoch, rows) => aggregator.foldRows(epoch, rows),
      taken: () => writer.recoveredTaken(),
    }),
    storedClock,
    hub,
    ticker: createLiveTicker(
      { aggregator, fleet, hub, share: () => instances.share },
      config.liveView.streamIntervalMs,
    ),
    epochs: createEpochClock(
      {
        closeEpoch: () => aggregator.closeEpoch(),
        onClosed(epoch) {
          storedClock.closed(epoch);
          writer.ring.closeEpoch(epoch);
        },
      },
      { ...config.liveView, ...config.batching },
    ),
  };
}

function createLiveAggregator(deps: LiveViewDeps, { clickHouse, liveView, redis }: Config): Aggregator {
  return createAggregator(
    {
      now: Date.now,
      monotonicNow: () => performance.now(),
      async queryStored(ranges) {
        const table = `\`${clickHouse.database}\`.telemetry_1s`;
        const answer = await deps.writer.query(buildRollupQuery(ranges, table));
        return answer.ok ? { ...answer, storedEpochs: shardEpochs(answer.storedEpochs) } : answer;
      },
      ...createDeviceReader(deps.reader),
      deviceListener: deps.fleet.fleet.listener,
      onError: (error) => deps.log("error", "a rollup answer was not understood", { error: String(error) }),
      onPending: (shard, epoch, cells) => deps.instances.share?.pending(shard, epoch, cells),
    },
    { ...liveView, ...(redis.url === null ? {} : { devicesRefreshMs: sharedDevicesRefreshMs }) },
  );
}

/** The stream's figures of events and of devices come from two parts. */
function withFleet(
  update: Update,
  { aggregator, fleet }: { readonly aggregator: Aggregator; readonly fleet: LiveFleet },
): Update {
  const { totals } = fleet.fleet;
  const devices = totals ?? { online: 0, silent: 0, became_silent: 0, new_devices: 0 };
  return { ...update, totals: { ...update.totals, ...devices, complete: aggregator.complete && totals !== null } };
}
