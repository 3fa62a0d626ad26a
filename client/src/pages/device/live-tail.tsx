import { createMemo, For, type JSX, Show } from "solid-js";
import type { StoredEvent } from "../../../../contract/event.ts";
import { useApp } from "../../app/context.tsx";
import { createDeviceTail, tailMax } from "../../live/device-tail.ts";
import { formatCount, formatTime } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import type { DeviceData } from "./device-data.ts";

/** The device's own events as they arrive, over the newest that are stored. */
export function LiveTail(props: { id: string; data: DeviceData }): JSX.Element {
  const { shortcuts } = useApp();
  const tail = createDeviceTail(props.id);
  shortcuts.add("space", () => tail.setPaused(!tail.paused()));
  const rows = createMemo(() => {
    const live = tail.events();
    const oldest = live.at(-1)?.received_at;
    const stored = props.data.stored.data()?.events ?? [];
    const earlier = stored.filter((event) => oldest === undefined || event.received_at < oldest);
    return [...live, ...earlier].slice(0, tailMax);
  });
  return (
    <section class="panel tail" aria-labelledby="tail-title">
      <div class="panel-head">
        <h2 id="tail-title">Live events</h2>
        <span class="panel-note">
          {tail.connected() ? "as they arrive" : "connecting"}
          <Show when={tail.skipped() > 0}>, {formatCount(tail.skipped())} more came too fast to show</Show>
        </span>
        <button type="button" class="button push" title="Space bar" onClick={() => tail.setPaused(!tail.paused())}>
          <Icon name={tail.paused() ? "play" : "pause"} />
          {tail.paused() ? "Resume" : "Pause"}
        </button>
      </div>
      <section class="table-scroll tail-scroll" tabindex="0" aria-label="Live events, scrolls">
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Type</th>
              <th scope="col" class="num">
                Value
              </th>
              <th scope="col">Metadata</th>
            </tr>
          </thead>
          <tbody>
            <For
              each={rows()}
              fallback={
                <tr>
                  <td colspan="4">Nothing has arrived yet.</td>
                </tr>
              }
            >
              {(event) => <TailRow event={event} data={props.data} />}
            </For>
          </tbody>
        </table>
      </section>
    </section>
  );
}

function TailRow(props: { event: StoredEvent; data: DeviceData }): JSX.Element {
  const { preferences } = useApp();
  const value = (): string =>
    props.event.value_float === null
      ? (props.event.value_string ?? "–")
      : props.data.unitOf(props.event.event_type).format(props.event.value_float);
  return (
    <tr>
      <td>{formatTime(Date.parse(props.event.timestamp), preferences.zone())}</td>
      <td>{props.event.event_type}</td>
      <td class="num">{value()}</td>
      <td class="tail-metadata">
        {Object.entries(props.event.metadata)
          .map(([name, text]) => `${name}=${text}`)
          .join(" ")}
      </td>
    </tr>
  );
}
