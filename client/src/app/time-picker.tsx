import "./time-picker.css";
import { createSignal, For, type JSX, Show } from "solid-js";
import { Icon } from "../ui/icons.tsx";
import { Popover } from "../ui/popover.tsx";
import { useApp } from "./context.tsx";
import { canonicalTime, isRelative, localText } from "./time-expression.ts";
import { resolveSpec, timePresets } from "./time-range.ts";
import type { TimeRangeState } from "./time-range-state.ts";

/** The time range of a page: presets, two times as typed, earlier and later, out. The same on every page that has one. */
export function TimePicker(props: { range: TimeRangeState }): JSX.Element {
  const { shortcuts } = useApp();
  shortcuts.add("[", () => props.range.step(-1));
  shortcuts.add("]", () => props.range.step(1));
  return (
    <fieldset class="time-picker">
      <legend class="visually-hidden">Time range</legend>
      <button
        type="button"
        class="button square"
        aria-label="Earlier"
        title="Earlier"
        onClick={() => props.range.shift(-0.5)}
      >
        <Icon name="back" />
      </button>
      <Popover
        label="Time range"
        buttonClass="button time-button"
        title="Time range ([ shorter, ] longer)"
        button={
          <>
            <Icon name="clock" />
            <span>{props.range.label()}</span>
          </>
        }
      >
        {(close) => <RangeForm range={props.range} close={close} />}
      </Popover>
      <button
        type="button"
        class="button square"
        aria-label="Later"
        title="Later"
        disabled={props.range.moving()}
        onClick={() => props.range.shift(0.5)}
      >
        <Icon name="forward" />
      </button>
      <button
        type="button"
        class="button square"
        aria-label="Zoom out"
        title="Zoom out"
        onClick={() => props.range.zoomOut()}
      >
        <Icon name="zoom_out" />
      </button>
    </fieldset>
  );
}

function RangeForm(props: { range: TimeRangeState; close(): void }): JSX.Element {
  const { preferences } = useApp();
  const utc = (): boolean => preferences.zone() === "utc";
  const [problem, setProblem] = createSignal("");
  const shown = (text: string): string => (isRelative(text) ? text : localText(Date.parse(text), utc()));
  const choose = (from: string, to?: string): void => {
    props.range.choose(from, to);
    props.close();
  };
  const apply = (event: SubmitEvent & { currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const from = canonicalTime(String(form.get("from")), utc());
    const to = canonicalTime(String(form.get("to")), utc());
    if (from === undefined || to === undefined)
      setProblem(`${from === undefined ? "From" : "To"} must be a time such as now-6h or 2026-01-31 08:00.`);
    else if (!resolveSpec({ from, to }, Date.now())) setProblem("From must be before To.");
    else choose(from, to);
  };
  return (
    <div class="time-form">
      <form onSubmit={apply}>
        <label class="stack">
          <span>From</span>
          <input
            type="text"
            name="from"
            required
            autocomplete="off"
            spellcheck={false}
            value={shown(props.range.spec().from)}
          />
        </label>
        <label class="stack">
          <span>To</span>
          <input
            type="text"
            name="to"
            required
            autocomplete="off"
            spellcheck={false}
            value={shown(props.range.spec().to)}
          />
        </label>
        <p class="panel-note">
          <code>now-6h</code>, <code>90m</code>, or a date and time in {utc() ? "UTC" : "local time"}
        </p>
        <p class="form-message" role="alert">
          <Show when={problem()}>{problem()}</Show>
        </p>
        <div class="button-group">
          <button type="submit" class="button primary">
            Apply
          </button>
          <button
            type="button"
            class="button"
            onClick={() => {
              props.range.reset();
              props.close();
            }}
          >
            Reset
          </button>
        </div>
      </form>
      <ul class="range-presets">
        <For each={timePresets}>
          {(preset) => (
            <li>
              <button
                type="button"
                class="range-preset"
                aria-pressed={props.range.moving() && props.range.spec().from === preset.from}
                data-autofocus={props.range.moving() && props.range.spec().from === preset.from ? "" : undefined}
                onClick={() => choose(preset.from)}
              >
                Last {preset.label.replace(/^1 /, "")}
              </button>
            </li>
          )}
        </For>
      </ul>
    </div>
  );
}
