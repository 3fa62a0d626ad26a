import { type Accessor, createMemo } from "solid-js";
import { useApp } from "./context.tsx";
import { secondsAgo, type TimeRange } from "./time-expression.ts";
import {
  absoluteSpec,
  describeSpec,
  resolveSpec,
  shiftedRange,
  type TimeSpec,
  timePresets,
  zoomedOut,
} from "./time-range.ts";

export interface TimeRangeState {
  spec: Accessor<TimeSpec>;
  /** Ends at now, and moves with it. */
  moving: Accessor<boolean>;
  /** The page's own range: nobody has chosen one. */
  own: Accessor<boolean>;
  /** The times of the range now, on the server's clock. */
  bounds(): TimeRange;
  spanMs(): number;
  label: Accessor<string>;
  /** Canonical texts. A step for the back button, like every change below. */
  choose(from: string, to?: string): void;
  zoom(fromMs: number, toMs: number): void;
  shift(byParts: number): void;
  zoomOut(): void;
  /** Back to the page's own range. */
  reset(): void;
  /** To the next shorter (-1) or longer (1) of the presets. */
  step(by: -1 | 1): void;
}

/**
 * The one time range of the dashboard. It is in the URL as `from` and `to` and follows from page to page; a page only says
 * what it shows when nobody has chosen. Must be called under a Solid owner.
 */
export function createTimeRange(defaultFrom: string): TimeRangeState {
  const { router, live, preferences } = useApp();
  const serverNow = (): number => Date.now() + live.clockOffsetMs();
  const ownSpec = { from: defaultFrom, to: "now" };
  const spec = createMemo(
    (): TimeSpec => {
      const wanted = { from: router.param("from", defaultFrom), to: router.param("to", "now") };
      return resolveSpec(wanted, serverNow()) ? wanted : ownSpec;
    },
    ownSpec,
    { equals: (a, b) => a.from === b.from && a.to === b.to },
  );
  const bounds = (): TimeRange => {
    const now = serverNow();
    return resolveSpec(spec(), now) ?? { fromMs: now - 3_600_000, toMs: now };
  };
  const choose = (from: string, to = "now"): void =>
    router.setParams({ from, to: to === "now" ? undefined : to }, { push: true });
  const chooseRange = (range: TimeRange): void => {
    const { from, to } = absoluteSpec(range);
    choose(from, to);
  };
  return {
    spec,
    moving: () => spec().to === "now",
    own: () => router.param("from") === "" && router.param("to") === "",
    bounds,
    spanMs() {
      const { fromMs, toMs } = bounds();
      return toMs - fromMs;
    },
    label: createMemo(() => describeSpec(spec(), preferences.zone())),
    choose,
    zoom: (fromMs, toMs) => chooseRange({ fromMs, toMs: Math.min(toMs, serverNow()) }),
    shift: (byParts) => chooseRange(shiftedRange(bounds(), byParts, serverNow())),
    zoomOut: () => chooseRange(zoomedOut(bounds(), serverNow())),
    reset: () => router.setParams({ from: undefined, to: undefined }, { push: true }),
    step(by) {
      const seconds = (bounds().toMs - bounds().fromMs) / 1000;
      const lengths = timePresets.map(({ from }) => secondsAgo(from)!);
      const at =
        by > 0 ? lengths.findIndex((each) => each > seconds + 1) : lengths.findLastIndex((each) => each < seconds - 1);
      const next = timePresets[at];
      if (next) choose(next.from);
    },
  };
}
