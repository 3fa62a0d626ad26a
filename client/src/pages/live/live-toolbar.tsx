import { createEffect, createMemo, type JSX, on, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { FilterChips } from "../../app/filter-chips.tsx";
import type { FleetFilter } from "../../app/fleet-filter.ts";
import { TimePicker } from "../../app/time-picker.tsx";
import type { TimeRangeState } from "../../app/time-range-state.ts";
import { formatTime } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";

/** What moves and what stands still. */
export function LiveToolbar(props: { range: TimeRangeState; filter: FleetFilter }): JSX.Element {
  const { live, router, shortcuts } = useApp();
  // Whether charts move on under the pointer is part of the view: a wall screen's link must bring it back. A pause is not.
  const resting = (): "play" | "force" => (router.param("play") === "force" ? "force" : "play");
  createEffect(
    on(resting, (next) => {
      if (live.mode() !== "pause" || next === "force") live.setMode(next);
    }),
  );
  const paused = createMemo(() => live.mode() === "pause");
  const togglePause = (): void => live.setMode(paused() ? resting() : "pause");
  const toggleForce = (): void => {
    router.setParams({ play: resting() === "force" ? undefined : "force" });
    live.setMode(resting());
  };
  shortcuts.add("space", togglePause);
  shortcuts.add("f", toggleForce);
  return (
    <div class="toolbar">
      <TimePicker range={props.range} />
      <div class="button-group">
        <button
          type="button"
          class="button play-button"
          classList={{ primary: paused() }}
          title="Space bar"
          onClick={togglePause}
        >
          <Icon name={paused() ? "play" : "pause"} />
          {paused() ? "Resume" : "Pause"}
        </button>
        <button
          type="button"
          class="button keep-button"
          aria-pressed={resting() === "force"}
          title="Charts move on while the pointer is over them (f)"
          onClick={toggleForce}
        >
          Keep updating on hover
        </button>
      </div>
      <FilterChips filter={props.filter} />
      <LastUpdated paused={paused()} />
    </div>
  );
}

function LastUpdated(props: { paused: boolean }): JSX.Element {
  const { live, preferences } = useApp();
  return (
    <p class="updated">
      <Show when={props.paused}>
        <strong class="paused-mark">Paused. </strong>
      </Show>
      <Show when={live.figures()} fallback="Waiting for the first update">
        {(figures) => (
          <>
            Last updated <time>{formatTime(figures().timestampMs, preferences.zone())}</time>
            <Show when={preferences.zone() === "utc"}> UTC</Show>
          </>
        )}
      </Show>
    </p>
  );
}
