import type { Aggregator } from "../live-view/aggregator.ts";
import type { Share } from "../live-view/shared/share.ts";
import type { StreamHub } from "../stream/hub.ts";
import { createTicker, type Ticker } from "../stream/ticker.ts";
import type { LiveFleet } from "./open-fleet.ts";

/** Moves the live view on, tells other instances, and sends it to every stream. */
export interface LiveTicker extends Ticker {
  /** What the stream says of the pipeline is different now. */
  pipelineChanged(): void;
}

export interface LiveTickerDeps {
  readonly aggregator: Pick<Aggregator, "tick">;
  readonly fleet: Pick<LiveFleet, "tick">;
  readonly hub: Pick<StreamHub, "publish" | "beat" | "stats">;
  readonly share: () => Share | null;
}

export function createLiveTicker({ aggregator, fleet, hub, share }: LiveTickerDeps, intervalMs: number): LiveTicker {
  let pipelineChanged = true;
  const ticker = createTicker(
    {
      now: () => performance.now(),
      setTimer: setTimeout,
      clearTimer: (timer) => clearTimeout(timer as Timer),
      beat: () => hub.beat(),
      tick() {
        const fleetChanged = fleet.tick();
        const changed = aggregator.tick() || fleetChanged || pipelineChanged;
        share()?.tick();
        pipelineChanged = false;
        if (changed) hub.publish();
        return changed;
      },
      fanOutMs: () => hub.stats.fanOutMs,
    },
    { intervalMs },
  );
  return {
    ...ticker,
    pipelineChanged() {
      pipelineChanged = true;
      ticker.touch();
    },
  };
}
