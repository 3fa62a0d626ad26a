import type { Update } from "../../../contract/stream.ts";
import type { KeptData } from "../pwa/kept-data.ts";
import type { LiveRings } from "./live-rings.ts";

const keepEveryMs = 30_000;

/** What has arrived, whether or not the page shows it yet: the newest update and the rings. Not reactive. */
export interface Arrivals {
  /** Fresh, or kept from an earlier visit. */
  readonly latest: Update | undefined;
  /** When it arrived, browser's clock. */
  readonly latestAtMs: number;
  /** Server's clock minus the browser's. */
  readonly offsetMs: number;
  /** The stream broke since the last update: the time between is a gap. */
  readonly isBroken: boolean;
  /** True for the first update after a break. */
  receive(update: Update): boolean;
  interrupt(): void;
  /** Keeps what is here for an offline reload, as far as it came in this visit. */
  keep(): void;
  keepNowAndThen(): void;
}

/** Begins with what an earlier visit kept. `isHolder`: of several tabs, one keeps. */
export function makeArrivals(rings: LiveRings, keptData: KeptData, isHolder: () => boolean): Arrivals {
  const earlier = keptData.load();
  if (earlier) rings.restore(earlier.rings, Date.parse(earlier.update.timestamp));
  let latest = earlier?.update;
  let latestAtMs = earlier?.atMs ?? 0;
  let offsetMs = 0;
  let isBroken = true;
  let isFresh = earlier === undefined;
  let keptAtMs = 0;

  function keep(): void {
    if (!latest || !isHolder() || !isFresh) return;
    keptAtMs = Date.now();
    keptData.save({ atMs: latestAtMs, update: latest, rings: rings.snapshot(latest) });
  }

  return {
    get latest() {
      return latest;
    },
    get latestAtMs() {
      return latestAtMs;
    },
    get offsetMs() {
      return offsetMs;
    },
    get isBroken() {
      return isBroken;
    },
    receive(update) {
      const resumed = isBroken;
      latestAtMs = Date.now();
      offsetMs = Date.parse(update.timestamp) - latestAtMs;
      rings.receive(update, resumed);
      latest = update;
      isBroken = false;
      isFresh = true;
      return resumed;
    },
    interrupt() {
      isBroken = true;
    },
    keep,
    keepNowAndThen() {
      if (Date.now() - keptAtMs > keepEveryMs) keep();
    },
  };
}
