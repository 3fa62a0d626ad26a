import { For, type JSX, Show } from "solid-js";
import { createClockWords } from "../../app/clock-words.ts";
import { useApp } from "../../app/context.tsx";
import { metadataPrefix } from "../../app/router.ts";
import { ChangeList } from "../../ui/change-list.tsx";
import type { DeviceData } from "./device-data.ts";

/** What the device says of itself; each value leads to the devices that share it. */
export function MetadataPanel(props: { data: DeviceData }): JSX.Element {
  const { router } = useApp();
  const pairs = () => Object.entries(props.data.detail.data()?.metadata ?? {});
  return (
    <section class="panel" aria-labelledby="metadata-title">
      <div class="panel-head">
        <h2 id="metadata-title">Metadata</h2>
      </div>
      <Show
        when={pairs().length > 0}
        fallback={
          <p class="panel-body panel-note">
            {props.data.detail.data() ? "Its events carry none." : "Not known while its stored figures cannot be read."}
          </p>
        }
      >
        <dl class="pairs">
          <For each={pairs()}>
            {([name, value]) => (
              <div>
                <dt>{name}</dt>
                <dd>
                  <a href={router.href("/devices", { [metadataPrefix + name]: value })}>{value}</a>
                </dd>
              </div>
            )}
          </For>
        </dl>
      </Show>
    </section>
  );
}

export function TransitionsPanel(props: { data: DeviceData }): JSX.Element {
  const { router } = useApp();
  const clock = createClockWords();
  return (
    <section class="panel" aria-labelledby="transitions-title">
      <div class="panel-head">
        <h2 id="transitions-title">Changes</h2>
        <span class="panel-note">in this range</span>
      </div>
      <section class="transitions" tabindex="0" aria-label="Changes of this device, scrolls">
        <Show
          when={props.data.changes().length > 0}
          fallback={<p class="panel-body panel-note">It has neither fallen silent nor changed.</p>}
        >
          <ChangeList
            changes={props.data.changes()}
            ofOneDevice
            time={clock.time}
            ago={clock.ago}
            href={(path) => router.href(path)}
          />
        </Show>
      </section>
    </section>
  );
}
