import "./devices-page.css";
import { createVirtualizer } from "@tanstack/solid-virtual";
import { createEffect, createMemo, createSignal, For, type JSX, on, onCleanup, Show, untrack } from "solid-js";
import type { Device } from "../../../../contract/read.ts";
import { useApp } from "../../app/context.tsx";
import { devicePath } from "../../app/router.ts";
import { Status, usualInterval } from "../../ui/device-status.tsx";
import { FirstEvent } from "../../ui/first-event.tsx";
import { formatAge, formatCount, formatTime } from "../../ui/format.ts";
import { Blank, Notice } from "../../ui/notice.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { type DevicePages, deviceRowsMax, makeDevicePages } from "./device-pages.ts";

const rowHeight = 36;
const refreshEveryMs = 5_000;
const searchDelayMs = 120;
const loadAheadRows = 400;

const statuses = [
  { value: "", label: "All" },
  { value: "online", label: "Online" },
  { value: "silent", label: "Silent", title: "No event for more than twice its usual interval plus a second" },
] as const;
type StatusValue = (typeof statuses)[number]["value"];

const columns = [
  { name: "device_id", label: "Device", natural: "device_id" },
  { name: "status", label: "Status", natural: undefined },
  { name: "last_seen", label: "Last seen", natural: "-last_seen" },
  { name: "interval", label: "Reports", natural: undefined },
  { name: "event_count", label: "Events", natural: "-event_count" },
  { name: "first_seen", label: "First seen", natural: "-first_seen" },
] as const;
const sorts: readonly string[] = ["device_id", "last_seen", "event_count", "first_seen"].flatMap((name) => [
  name,
  `-${name}`,
]);

export default function DevicesPage(): JSX.Element {
  const { api, router, live, shortcuts, preferences } = useApp();
  const search = (): string => router.param("q");
  const status = (): StatusValue => statuses.find((each) => each.value === router.param("status"))?.value ?? "";
  const sort = (): string => (sorts.includes(router.param("sort")) ? router.param("sort") : "device_id");

  // Typing asks once it pauses, a click at once.
  const [settled, setSettled] = createSignal(search());
  let timer: ReturnType<typeof setTimeout> | undefined;
  createEffect(
    on(
      search,
      (next) => {
        clearTimeout(timer);
        timer = setTimeout(() => setSettled(next), searchDelayMs);
      },
      { defer: true },
    ),
  );

  let pages: DevicePages | undefined;
  // The list is a plain array, grown in place; this says that it has changed.
  const [version, setVersion] = createSignal(0, { equals: false });
  const [firstAnswer, setFirstAnswer] = createSignal(false);
  createEffect(
    on([settled, status, sort], ([search, status, sort]) => {
      pages?.stop();
      const mine = makeDevicePages(
        (query, signal) => api.get("/api/devices", query, signal),
        { search: search.trim(), status, sort },
        () => {
          setFirstAnswer(true);
          setVersion(0);
        },
      );
      pages = mine;
      void mine.loadMore();
      if (scroller) scroller.scrollTop = 0;
    }),
  );
  const list = (): DevicePages | undefined => {
    version();
    return pages;
  };

  let scroller: HTMLDivElement | undefined;
  const virtualizer = createVirtualizer({
    get count() {
      return list()?.devices.length ?? 0;
    },
    getScrollElement: () => scroller ?? null,
    estimateSize: () => rowHeight,
    overscan: 12,
  });
  createEffect(() => {
    const items = virtualizer.getVirtualItems();
    const last = items.at(-1)?.index ?? 0;
    const current = list();
    if (
      current?.more &&
      !current.failure &&
      last > current.devices.length - Math.min(loadAheadRows, current.devices.length / 2)
    )
      untrack(() => void current.loadMore());
  });

  const refresh = setInterval(() => {
    if (document.hidden || !pages) return;
    if (pages.failure && pages.devices.length === 0) void pages.loadMore();
    else {
      const items = virtualizer.getVirtualItems();
      void pages.refresh(items.at(0)?.index ?? 0, items.at(-1)?.index ?? 0);
    }
  }, refreshEveryMs);
  onCleanup(() => {
    clearInterval(refresh);
    clearTimeout(timer);
    pages?.stop();
  });

  let input!: HTMLInputElement;
  shortcuts.add("/", () => input.focus());

  const setSort = (natural: string): void => {
    const flipped = natural.startsWith("-") ? natural.slice(1) : `-${natural}`;
    const next = sort() === natural ? flipped : natural;
    router.setParams({ sort: next === "device_id" ? undefined : next });
  };
  const ariaSort = (name: string): "ascending" | "descending" | undefined =>
    sort() === name ? "ascending" : sort() === `-${name}` ? "descending" : undefined;
  const filtered = (): boolean => search() !== "" || status() !== "";
  const summary = createMemo(() => {
    const total = list()?.total;
    if (total === undefined) return "";
    const noun = total === 1 ? "device" : "devices";
    return filtered() ? `${formatCount(total)} ${noun} match` : `${formatCount(total)} ${noun}`;
  });

  return (
    <div class="page fill-page">
      <div class="page-head">
        <h1>Devices</h1>
        <p class="panel-note" role="status">
          {summary()}
        </p>
        <Segmented
          label="Status"
          name="status"
          value={status()}
          options={statuses}
          onChange={(value) => router.setParams({ status: value })}
        />
        <label class="search slash">
          <span class="visually-hidden">Search devices</span>
          <input
            ref={input}
            type="search"
            placeholder="Search device id"
            value={search()}
            onInput={(event) => router.setParams({ q: event.currentTarget.value })}
          />
        </label>
      </div>
      <Show when={list()?.failure}>
        {(failure) => (
          <Notice
            tone="warn"
            title="The list of devices is not up to date."
            action={
              <button type="button" class="button" onClick={() => void pages?.loadMore()}>
                Try again
              </button>
            }
          >
            {failure().message} It is asked again every few seconds.
          </Notice>
        )}
      </Show>
      {/* biome-ignore lint/a11y/useSemanticElements: rows are placed by a virtualiser, which table layout cannot do */}
      <div class="panel devices" role="table" aria-label="Devices" aria-rowcount={(list()?.total ?? 0) + 1}>
        {/* biome-ignore lint/a11y/useSemanticElements: see the table above */}
        {/* biome-ignore lint/a11y/useFocusableInteractive: a row of a table is not a control */}
        <div class="device-row device-head" role="row" aria-rowindex={1}>
          <For each={columns}>
            {(column) => (
              // biome-ignore lint/a11y/useSemanticElements: see the table above
              // biome-ignore lint/a11y/useFocusableInteractive: the button inside is the control
              <div role="columnheader" class={`cell-${column.name}`} aria-sort={ariaSort(column.name)}>
                <Show when={column.natural} fallback={column.label}>
                  {(natural) => (
                    <button type="button" class="sort" onClick={() => setSort(natural())}>
                      {column.label}
                    </button>
                  )}
                </Show>
              </div>
            )}
          </For>
        </div>
        {/* biome-ignore lint/a11y/useSemanticElements: see the table above */}
        <div class="device-scroll" role="rowgroup" tabindex="0" aria-label="Devices, scrolls" ref={scroller}>
          <div class="device-space" style={{ height: `${virtualizer.getTotalSize()}px` }}>
            <For each={virtualizer.getVirtualItems()}>
              {(item) => {
                const device = createMemo(() => list()?.devices[item.index]);
                return (
                  <Show when={device()}>
                    {(each) => (
                      <DeviceRow
                        device={each()}
                        index={item.index}
                        top={item.start}
                        nowMs={live.nowMs() + live.clockOffsetMs()}
                        zone={preferences.zone()}
                        href={router.href(devicePath(each().device_id))}
                      />
                    )}
                  </Show>
                );
              }}
            </For>
          </div>
          <Show when={firstAnswer() && list()?.devices.length === 0 && !list()?.failure}>
            <Show
              when={filtered()}
              fallback={
                <Blank title="No device has reported yet">
                  <p>A device appears here with its first event. Send one from a terminal:</p>
                  <FirstEvent />
                </Blank>
              }
            >
              <Blank title="No device matches">
                <p>
                  Search looks for the text anywhere in a device's id.{" "}
                  <button
                    type="button"
                    class="link"
                    onClick={() => router.setParams({ q: undefined, status: undefined })}
                  >
                    Show all devices
                  </button>
                </p>
              </Blank>
            </Show>
          </Show>
          <Show when={!firstAnswer()}>
            <p class="table-empty">Asking for the devices</p>
          </Show>
          <Show when={(list()?.devices.length ?? 0) >= deviceRowsMax}>
            <p class="table-empty">These are the first {formatCount(deviceRowsMax)}. Search to find the others.</p>
          </Show>
        </div>
      </div>
    </div>
  );
}

function DeviceRow(props: {
  device: Device;
  index: number;
  top: number;
  nowMs: number;
  zone: "local" | "utc";
  href: string;
}): JSX.Element {
  const ageSeconds = (): number => (props.nowMs - Date.parse(props.device.last_seen)) / 1000;
  return (
    // biome-ignore lint/a11y/useSemanticElements: rows are placed by a virtualiser, which table layout cannot do
    // biome-ignore lint/a11y/useFocusableInteractive: the link inside is the control
    <div
      class="device-row"
      role="row"
      aria-rowindex={props.index + 2}
      style={{ transform: `translateY(${props.top}px)` }}
    >
      {/* biome-ignore lint/a11y/useSemanticElements: see the row above */}
      <div role="cell" class="cell-device_id">
        <a href={props.href}>{props.device.device_id}</a>
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: see the row above */}
      <div role="cell" class="cell-status">
        <Status status={props.device.status} />
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: see the row above */}
      <div
        role="cell"
        class="cell-last_seen"
        title={formatTime(Date.parse(props.device.last_seen), props.zone, "full")}
      >
        {formatAge(ageSeconds())}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: see the row above */}
      <div role="cell" class="cell-interval">
        {usualInterval(props.device.interval_seconds)}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: see the row above */}
      <div role="cell" class="cell-event_count">
        {formatCount(props.device.event_count)}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: see the row above */}
      <div role="cell" class="cell-first_seen">
        {formatTime(Date.parse(props.device.first_seen), props.zone, "full")}
      </div>
    </div>
  );
}
