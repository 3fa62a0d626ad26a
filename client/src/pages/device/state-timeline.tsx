import { createMemo, For, type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { seriesColor, seriesMax } from "../../charts/palette.ts";
import type { TimeSpan } from "../../charts/time-chart.ts";
import { formatDuration } from "../../ui/format.ts";
import type { StateRun } from "./state-runs.ts";

/** Narrower than this share of the range, a state has no room for its name. */
const labelShareMin = 0.05;

/** A text series as what it was and for how long, under the same time axis as the charts around it. */
export function StateTimeline(props: {
  runs: readonly StateRun[];
  fromSecond: number;
  toSecond: number;
  spans: readonly TimeSpan[];
  label: string;
}): JSX.Element {
  const { preferences } = useApp();
  const slots = createMemo(
    () => new Map([...new Set(props.runs.map((run) => run.value))].map((value, index) => [value, index % seriesMax])),
  );
  const share = (second: number): number =>
    Math.min(1, Math.max(0, (second - props.fromSecond) / (props.toSecond - props.fromSecond)));
  const place = (fromSecond: number, toSecond: number) => ({
    left: `${share(fromSecond) * 100}%`,
    width: `${(share(toSecond) - share(fromSecond)) * 100}%`,
  });
  const words = (run: StateRun): string => `${run.value} for ${formatDuration((run.toMs - run.fromMs) / 1000)}`;
  return (
    <ul class="state-timeline" aria-label={props.label}>
      <For each={props.runs}>
        {(run) => (
          <li
            title={words(run)}
            style={{
              ...place(run.fromMs / 1000, run.toMs / 1000),
              "--state": seriesColor(slots().get(run.value) ?? 0, preferences.dark()),
            }}
          >
            <span
              classList={{
                "visually-hidden": share(run.toMs / 1000) - share(run.fromMs / 1000) < labelShareMin,
              }}
            >
              <Show when={run.value !== ""} fallback="(empty)">
                {run.value}
              </Show>{" "}
              <small>{formatDuration((run.toMs - run.fromMs) / 1000)}</small>
            </span>
          </li>
        )}
      </For>
      <For each={props.spans}>
        {(span) => <li class="state-silent" aria-hidden="true" style={place(span.fromSecond, span.toSecond)} />}
      </For>
    </ul>
  );
}
