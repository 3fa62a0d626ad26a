import { type Accessor, createEffect, createMemo, createSignal, on, onCleanup } from "solid-js";
import { encodeDeviceSegment } from "../../../../contract/device-path.ts";
import type { Facets } from "../../../../contract/fleet.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { createFleetFilter, type FleetFilter } from "../../app/fleet-filter.ts";
import { columnsNamed, type DeviceColumn, lastValueTypes, sortNames, usualColumns } from "./device-columns.ts";
import { type DeviceList, makeDeviceList } from "./device-list.ts";

const searchDelayMs = 120;
const facetsEveryMs = 5_000;

export const statuses = [
  { value: "", label: "All" },
  { value: "online", label: "Online" },
  { value: "silent", label: "Silent", title: "No report within its own interval and a second" },
] as const;
export type StatusValue = (typeof statuses)[number]["value"];

/** What the page shows, in the URL. */
export interface DevicesView {
  search: Accessor<string>;
  status: Accessor<StatusValue>;
  sort: Accessor<string>;
  filter: FleetFilter;
  /** A metadata key; empty: one list. */
  group: Accessor<string>;
  columns: Accessor<DeviceColumn[]>;
  columnNames: Accessor<string[]>;
  setColumns(names: readonly string[] | undefined): void;
  facets: Accessor<Facets | undefined>;
  metadataKeys: Accessor<string[]>;
  filtered(): boolean;
}

export function createDevicesView(): DevicesView {
  const { router, api } = useApp();
  const filter = createFleetFilter(router);
  const search = (): string => router.param("q");
  const status = createMemo(
    (): StatusValue => statuses.find((each) => each.value === router.param("status"))?.value ?? "",
  );
  // Who looks at the silent wants those first that have been silent longest.
  const natural = (): string => (status() === "silent" ? "last_seen" : "device_id");
  const sort = createMemo(() => (sortNames.includes(router.param("sort")) ? router.param("sort") : natural()));
  const facetsQuery = createQuery(
    createMemo(() => ({ search: search().trim(), meta: filter.query() })),
    ({ search: words, meta }, signal) => api.get("/api/facets", { ...meta, search: words }, signal),
    { everyMs: facetsEveryMs },
  );
  const metadataKeys = createMemo<string[]>(() => facetsQuery.data()?.facets.map(({ key }) => key) ?? [], [], {
    equals: (a, b) => a.join("\n") === b.join("\n"),
  });
  const columnNames = createMemo(() => {
    const chosen = router.param("cols");
    return chosen === "" ? usualColumns(metadataKeys()) : chosen.split(",");
  });
  return {
    search,
    status,
    sort,
    filter,
    group: () => router.param("group"),
    columns: createMemo(() => columnsNamed(columnNames(), metadataKeys())),
    columnNames,
    setColumns: (names) => router.setParams({ cols: names?.join(",") }),
    facets: facetsQuery.data,
    metadataKeys,
    filtered: () => search() !== "" || status() !== "" || filter.active(),
  };
}

export interface Devices {
  /** Anew after every change. */
  list: Accessor<DeviceList | undefined>;
  /** The first answer, good or bad, is there. */
  answered: Accessor<boolean>;
}

/** The list behind a view; a new one whenever the view changes. `onNew` when its first page is asked for. */
export function createDevices(view: DevicesView, onNew: () => void): Devices {
  const { api } = useApp();
  // Typing asks once it pauses, a click at once.
  const [settled, setSettled] = createSignal(view.search());
  let timer: ReturnType<typeof setTimeout> | undefined;
  createEffect(
    on(
      view.search,
      (next) => {
        clearTimeout(timer);
        timer = setTimeout(() => setSettled(next), searchDelayMs);
      },
      { defer: true },
    ),
  );
  let current: DeviceList | undefined;
  // The list is a plain object, changed in place; this says that it has changed.
  const [version, setVersion] = createSignal(0, { equals: false });
  const [answered, setAnswered] = createSignal(false);
  const lastTypes = createMemo(() => lastValueTypes(view.columns()), undefined, {
    equals: (a, b) => a.join("\n") === b.join("\n"),
  });
  createEffect(
    on([settled, view.status, view.sort, view.filter.query, lastTypes], ([search, status, sort, meta, last]) => {
      current?.stop();
      setAnswered(false);
      current = makeDeviceList(
        {
          askPage: (query, signal) => api.get("/api/devices", query, signal),
          askDevice: (id, signal) => api.get(`/api/devices/${encodeDeviceSegment(id)}`, {}, signal),
          changed() {
            setAnswered(true);
            setVersion(0);
          },
        },
        { search: search.trim(), status, sort, meta, last },
      );
      void current.loadMore();
      onNew();
      setVersion(0);
    }),
  );
  onCleanup(() => {
    clearTimeout(timer);
    current?.stop();
  });
  return {
    list() {
      version();
      return current;
    },
    answered,
  };
}
