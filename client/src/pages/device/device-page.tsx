import "./device-page.css";
import { createSignal, type JSX, lazy, Show, Suspense } from "solid-js";
import { decodeDeviceSegment } from "../../../../contract/device-path.ts";
import { useApp } from "../../app/context.tsx";
import type { PageProps } from "../../app/page-props.ts";
import { TimePicker } from "../../app/time-picker.tsx";
import { createTimeRange } from "../../app/time-range-state.ts";
import { Icon } from "../../ui/icons.tsx";
import { Blank, Notice } from "../../ui/notice.tsx";
import { createDeviceData } from "./device-data.ts";
import { DeviceFigures } from "./device-figures.tsx";
import { MetadataPanel, TransitionsPanel } from "./device-side.tsx";
import { LiveTail } from "./live-tail.tsx";
import { SeriesPanel } from "./series-panel.tsx";

/** Only of a device that has never reported. */
const FirstEvent = lazy(async () => ({ default: (await import("../../ui/first-event.tsx")).FirstEvent }));

/** One device: how it is, all its series, what has happened to it, and what it sends now. */
export default function DevicePage(props: PageProps): JSX.Element {
  const id = decodeDeviceSegment(props.params.id ?? "");
  const range = createTimeRange("now-1h");
  const data = createDeviceData(id, range);
  const failure = data.detail.failure;
  const missing = (): boolean => failure()?.status === 404 && !data.detail.data();
  return (
    <div class="page">
      <DeviceHead id={id} />
      <Show when={missing()}>
        <section class="panel">
          <Blank title="This device has never reported">
            <p>Nothing is stored under this id. An event in its name makes it appear:</p>
            <Suspense>
              <FirstEvent deviceId={id} />
            </Suspense>
          </Blank>
        </section>
      </Show>
      <Show when={!missing() && failure()}>
        {(problem) => (
          <Notice tone="warn" title="The stored figures of this device cannot be read.">
            {problem().message} Its live events go on below.
          </Notice>
        )}
      </Show>
      <Show when={!missing()}>
        <DeviceFigures data={data} />
        <div class="toolbar">
          <TimePicker range={range} />
        </div>
        <div class="device-grid">
          <SeriesPanel data={data} range={range} />
          <div class="device-side">
            <MetadataPanel data={data} />
            <TransitionsPanel data={data} />
          </div>
          <LiveTail id={id} data={data} />
        </div>
      </Show>
    </div>
  );
}

function DeviceHead(props: { id: string }): JSX.Element {
  const { router } = useApp();
  const [copied, setCopied] = createSignal(false);
  const copyId = async (): Promise<void> => {
    await navigator.clipboard.writeText(props.id);
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <div class="page-head">
      <a class="button" href={router.href("/devices")}>
        <Icon name="back" />
        Devices
      </a>
      <h1>{props.id}</h1>
      <button type="button" class="button" onClick={() => void copyId()}>
        <Icon name="copy" />
        {copied() ? "Copied" : "Copy id"}
      </button>
      <a class="button" href={router.href("/explore", { device: props.id })}>
        <Icon name="explore" />
        Explore
      </a>
    </div>
  );
}
