import { createVirtualizer } from "@tanstack/solid-virtual";
import { createEffect, createMemo, createSignal, For, type JSX, on, onCleanup, Show, untrack } from "solid-js";
import { createClockWords } from "../../app/clock-words.ts";
import { useApp } from "../../app/context.tsx";
import { devicePath } from "../../app/router.ts";
import { formatCount, plural } from "../../ui/format.ts";
import { createDeviceAlerts } from "./device-alerts.ts";
import { leastWidth } from "./device-columns.ts";
import { DeviceHead } from "./device-head.tsx";
import { deviceRowsMax } from "./device-list.ts";
import { DeviceRow } from "./device-row.tsx";
import { createDevices, type DevicesView } from "./devices-state.ts";
import { createFleetAvailability } from "./fleet-availability.ts";
import { ListFailure, NoDevices } from "./list-states.tsx";
import { createRowKeys } from "./row-keys.ts";
import { createScrollMemory } from "./scroll-memory.ts";

const rowHeight = 36;
const refreshEveryMs = 5_000;
const loadAheadRows = 400;

/** The devices of a view: any number, as they are now. */
export function DeviceTable(props: { view: DevicesView }): JSX.Element {
  const { router } = useApp();
  const clock = createClockWords();
  const [hovered, setHovered] = createSignal(false);
  let scroller!: HTMLDivElement;
  const scroll = createScrollMemory(() => scroller);
  const devices = createDevices(props.view, () => scroll.toTop());
  const list = devices.list;
  const availability = createFleetAvailability(
    createMemo(() => props.view.columns().some(({ name }) => name === "availability")),
  );
  const alerts = createDeviceAlerts();

  const virtualizer = createVirtualizer({
    get count() {
      return list()?.devices.length ?? 0;
    },
    getScrollElement: () => scroller,
    estimateSize: () => rowHeight,
    overscan: 12,
  });
  const firstRow = (): number => virtualizer.getVirtualItems().at(0)?.index ?? 0;
  const lastRow = (): number => virtualizer.getVirtualItems().at(-1)?.index ?? 0;
  createEffect(() => {
    const last = lastRow();
    const current = list();
    const near = last > (current?.devices.length ?? 0) - Math.min(loadAheadRows, (current?.devices.length ?? 0) / 2);
    const wanted = scroll.wantedRows(rowHeight) > (current?.devices.length ?? 0);
    if (current?.more && !current.failure && (near || wanted)) untrack(() => void current.loadMore());
    else untrack(() => scroll.restore(list()?.devices.length ?? 0, rowHeight));
  });
  createRowKeys({
    count: () => list()?.devices.length ?? 0,
    first: () => Math.ceil(scroller.scrollTop / rowHeight),
    host: () => scroller,
    scrollTo: (index) => virtualizer.scrollToIndex(index),
  });

  const refresh = (): void => {
    const current = list();
    if (document.hidden || !current) return;
    if (current.failure && current.devices.length === 0) void current.loadMore();
    else void current.refresh(firstRow(), lastRow(), hovered() || scroller.contains(document.activeElement));
  };
  const timer = setInterval(refresh, refreshEveryMs);
  onCleanup(() => clearInterval(timer));
  // The pointer has gone: what was held back is shown now, not at the next refresh.
  createEffect(on(hovered, (on) => on || list()?.applyChanges(), { defer: true }));

  return (
    <>
      <Show when={list()?.failure}>
        {(failure) => <ListFailure failure={failure()} retry={() => void list()?.loadMore()} />}
      </Show>
      <div
        class="panel devices"
        style={{
          "--device-columns": ["minmax(150px, 2fr)", ...props.view.columns().map(({ width }) => width)].join(" "),
          "--device-least": `${leastWidth(props.view.columns())}px`,
        }}
        onPointerEnter={() => setHovered(true)}
        onPointerLeave={() => setHovered(false)}
      >
        {/* biome-ignore lint/a11y/useSemanticElements: rows are placed by a virtualiser, which table layout cannot do */}
        <div class="device-grid-table" role="table" aria-label="Devices" aria-rowcount={(list()?.total ?? 0) + 1}>
          <DeviceHead view={props.view} />
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
                          columns={props.view.columns()}
                          index={item.index}
                          top={item.start}
                          href={router.href(devicePath(each().device_id))}
                          clock={clock}
                          availability={availability}
                          alerts={alerts(each().device_id)}
                        />
                      )}
                    </Show>
                  );
                }}
              </For>
            </div>
            <Show when={devices.answered() && list()?.devices.length === 0 && !list()?.failure}>
              <NoDevices view={props.view} />
            </Show>
            <Show when={!devices.answered()}>
              <p class="table-empty">Loading the devices</p>
            </Show>
            <Show when={(list()?.devices.length ?? 0) >= deviceRowsMax}>
              <p class="table-empty">These are the first {formatCount(deviceRowsMax)}. Search to find the others.</p>
            </Show>
          </div>
        </div>
        <Show when={(list()?.pendingChanges ?? 0) > 0}>
          <button type="button" class="changes-pill" onClick={() => list()?.applyChanges()}>
            {plural(list()?.pendingChanges ?? 0, "change")}
          </button>
        </Show>
        <DeviceCount total={list()?.total} filtered={props.view.filtered()} />
      </div>
    </>
  );
}

function DeviceCount(props: { total: number | undefined; filtered: boolean }): JSX.Element {
  const words = (): string => {
    if (props.total === undefined) return "";
    return props.filtered ? `${plural(props.total, "device")} match` : plural(props.total, "device");
  };
  return (
    <p class="device-count" role="status">
      {words()}
    </p>
  );
}
