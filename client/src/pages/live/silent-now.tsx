import { For, type JSX, Show } from "solid-js";
import { createQuery } from "../../api/query.ts";
import { createClockWords } from "../../app/clock-words.ts";
import { useApp } from "../../app/context.tsx";
import type { FleetFilter } from "../../app/fleet-filter.ts";
import { devicePath } from "../../app/router.ts";

const shownMax = 5;

/** The devices that have been silent longest: on a phone the first thing under the numbers. */
export function SilentNow(props: { filter: FleetFilter }): JSX.Element {
  const { api, router, live } = useApp();
  const clock = createClockWords();
  const silent = createQuery(
    props.filter.query,
    (meta, signal) =>
      api.get("/api/devices", { ...meta, status: "silent", sort: "last_seen", limit: String(shownMax) }, signal),
    { everyMs: 5_000 },
  );
  return (
    <Show when={live.vitals().silent > 0 && (silent.data()?.devices.length ?? 0) > 0}>
      <section class="panel silent-now" aria-labelledby="silent-title">
        <div class="panel-head">
          <h2 id="silent-title">Silent longest</h2>
          <a class="push" href={router.href("/devices", { status: "silent" })}>
            All silent devices
          </a>
        </div>
        <ul>
          <For each={silent.data()?.devices}>
            {(device) => (
              <li>
                <a href={router.href(devicePath(device.device_id))}>{device.device_id}</a>
                <span>{clock.ago(device.last_seen)}</span>
              </li>
            )}
          </For>
        </ul>
      </section>
    </Show>
  );
}
