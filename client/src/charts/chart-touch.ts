import type uPlot from "uplot";

export interface XRange {
  from: number;
  to: number;
}

interface TouchSpec {
  /** What the chart shows when the fingers come down. */
  shown(): XRange;
  /** Draws this range meanwhile; undefined ends that. */
  preview(range: XRange | undefined): void;
  done(range: XRange): void;
}

/** Less than this is a tap, or the start of scrolling the page. */
const moveMinPx = 12;

/** The range after fingers have moved: one pans, two pinch around their middle. Positions are shares of the width. */
export function gestureRange(start: XRange, before: readonly number[], after: readonly number[]): XRange {
  const span = start.to - start.from;
  if (before.length < 2 || after.length < 2) {
    const shift = (before[0]! - after[0]!) * span;
    return { from: start.from + shift, to: start.to + shift };
  }
  const spread = (at: readonly number[]): number => Math.max(0.02, Math.abs(at[1]! - at[0]!));
  const middle = (at: readonly number[]): number => (at[0]! + at[1]!) / 2;
  const nextSpan = (span * spread(before)) / spread(after);
  const from = start.from + middle(before) * span - middle(after) * nextSpan;
  return { from, to: from + nextSpan };
}

/** Pan with one finger, pinch with two. The page still scrolls up and down: see `touch-action` of the chart. */
export function touchPlugin(spec: TouchSpec): uPlot.Plugin {
  return {
    hooks: {
      ready: [
        (chart) => {
          let start: { range: XRange; at: number[] } | undefined;
          let last: XRange | undefined;
          const shares = (event: TouchEvent): number[] => {
            const { left, width } = chart.over.getBoundingClientRect();
            return [...event.touches].slice(0, 2).map((touch) => (touch.clientX - left) / width);
          };
          const begin = (event: TouchEvent): void => {
            start = { range: last ?? spec.shown(), at: shares(event) };
          };
          chart.over.addEventListener("touchstart", begin, { passive: true });
          chart.over.addEventListener(
            "touchmove",
            (event) => {
              if (!start || start.at.length !== Math.min(2, event.touches.length)) return;
              const at = shares(event);
              const moved = Math.max(...at.map((each, index) => Math.abs(each - start!.at[index]!)));
              if (last === undefined && moved * chart.over.clientWidth < moveMinPx) return;
              last = gestureRange(start.range, start.at, at);
              spec.preview(last);
            },
            { passive: true },
          );
          chart.over.addEventListener("touchend", (event) => {
            if (event.touches.length > 0) {
              begin(event);
              return;
            }
            const range = last;
            start = undefined;
            last = undefined;
            spec.preview(undefined);
            if (range) spec.done(range);
          });
        },
      ],
    },
  };
}
