import { type JSX, Show } from "solid-js";
import { createClockWords } from "../../app/clock-words.ts";
import { Status } from "../../ui/device-status.tsx";
import { formatCount, reportingInterval } from "../../ui/format.ts";
import type { DeviceData } from "./device-data.ts";

export function DeviceFigures(props: { data: DeviceData }): JSX.Element {
  const clock = createClockWords();
  const device = () => props.data.detail.data();
  return (
    <dl class="figures">
      <div class="figure">
        <dt>Status</dt>
        <dd class="figure-value">
          <Show when={device()} fallback="–">
            {(each) => <Status status={each().status} />}
          </Show>
        </dd>
        <dd class="figure-note">
          {device()?.silent_since
            ? `since ${clock.full(device()!.silent_since!)}`
            : "silent when a report is a second late"}
        </dd>
      </div>
      <div class="figure">
        <dt>Last seen</dt>
        <dd class="figure-value">{device() ? clock.ago(device()!.last_seen) : "–"}</dd>
        <dd class="figure-note">{device() ? clock.full(device()!.last_seen) : "–"}</dd>
      </div>
      <div class="figure">
        <dt>Reporting interval</dt>
        <dd class="figure-value">{device() ? reportingInterval(device()!.interval_seconds) : "–"}</dd>
        <dd class="figure-note">median between two reports</dd>
      </div>
      <div class="figure">
        <dt>Events</dt>
        <dd class="figure-value">{formatCount(device()?.event_count)}</dd>
        <dd class="figure-note">{device() ? `since ${clock.full(device()!.first_seen)}` : "–"}</dd>
      </div>
    </dl>
  );
}
