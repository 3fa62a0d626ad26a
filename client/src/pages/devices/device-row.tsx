import { createMemo, For, type JSX, Match, Show, Switch } from "solid-js";
import type { Device } from "../../../../contract/read.ts";
import type { ClockWords } from "../../app/clock-words.ts";
import type { AvailabilitySpan } from "../../charts/availability.ts";
import { Status } from "../../ui/device-status.tsx";
import { SeverityMark } from "../../ui/severity-mark.tsx";
import { AvailabilityBar } from "./availability-bar.tsx";
import type { DeviceAlerts } from "./device-alerts.ts";
import type { DeviceColumn } from "./device-columns.ts";

/** One device. The link covers the whole row, so that a click anywhere opens it, in a new tab too. */
export function DeviceRow(props: {
  device: Device;
  columns: readonly DeviceColumn[];
  index: number;
  top: number;
  href: string;
  clock: ClockWords;
  availability(device: Device): AvailabilitySpan[] | undefined;
  alerts: DeviceAlerts | undefined;
}): JSX.Element {
  return (
    // biome-ignore lint/a11y/useSemanticElements: rows are placed by a virtualiser, which table layout cannot do
    // biome-ignore lint/a11y/useFocusableInteractive: the link inside is the control
    <div
      class="device-row"
      role="row"
      aria-rowindex={props.index + 2}
      title={rowTitle(props.device, props.clock, props.alerts)}
      style={{ transform: `translateY(${props.top}px)` }}
    >
      {/* biome-ignore lint/a11y/useSemanticElements: see the row above */}
      <div role="cell" class="cell-device_id">
        <a href={props.href} data-row={props.index} class="row-link">
          {props.device.device_id}
        </a>
        <Show when={props.alerts}>{(alerts) => <SeverityMark severity={alerts().severity} shapeOnly />}</Show>
      </div>
      <For each={props.columns}>
        {(column) => (
          // biome-ignore lint/a11y/useSemanticElements: see the row above
          <div
            role="cell"
            class={`cell-${column.name.replace(".", "-")}`}
            classList={{ "cell-number": column.numeric === true, "cell-meta": column.name.startsWith("meta.") }}
          >
            <DeviceCell {...props} column={column} />
          </div>
        )}
      </For>
    </div>
  );
}

/** The row's link lies over its cells, so what pointing at it says is one text for all of them. */
function rowTitle(device: Device, clock: ClockWords, alerts: DeviceAlerts | undefined): string {
  const silent = device.silent_since ? `, silent since ${clock.full(device.silent_since)}` : "";
  const firing = alerts === undefined ? "" : `\nFiring: ${alerts.words}`;
  return `Last seen ${clock.full(device.last_seen)}${silent}${firing}`;
}

function DeviceCell(props: {
  device: Device;
  column: DeviceColumn;
  clock: ClockWords;
  availability(device: Device): AvailabilitySpan[] | undefined;
}): JSX.Element {
  const spans = createMemo(() => (props.column.name === "availability" ? props.availability(props.device) : undefined));
  return (
    <Switch fallback={props.column.text?.(props.device, props.clock)}>
      <Match when={props.column.name === "status"}>
        <Status status={props.device.status} />
      </Match>
      <Match when={props.column.name === "availability"}>
        <AvailabilityBar spans={spans()} />
      </Match>
    </Switch>
  );
}
