import { createSignal, type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { saveFile } from "../../ui/csv.ts";
import { formatCount } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { lastValueTypes } from "./device-columns.ts";
import { devicesCsv } from "./device-csv.ts";
import { makeDeviceList } from "./device-list.ts";
import type { DevicesView } from "./devices-state.ts";

/** The whole filtered list as a file, not only what has been scrolled to. */
export function CsvButton(props: { view: DevicesView }): JSX.Element {
  const { api } = useApp();
  const [loaded, setLoaded] = createSignal<number>();
  const [problem, setProblem] = createSignal("");
  const save = async (): Promise<void> => {
    setProblem("");
    setLoaded(0);
    const { search, status, sort, filter, columns } = props.view;
    const list = makeDeviceList(
      {
        askPage: (query, signal) => api.get("/api/devices", query, signal),
        askDevice: (id, signal) => api.get(`/api/devices/${id}`, {}, signal),
        changed: () => setLoaded(list.devices.length),
      },
      {
        search: search().trim(),
        status: status(),
        sort: sort(),
        meta: filter.query(),
        last: lastValueTypes(columns()),
      },
    );
    while (list.more && !list.failure) await list.loadMore();
    setLoaded(undefined);
    if (list.failure) setProblem(list.failure.message);
    else saveFile(devicesCsv(list.devices, columns()), "devices.csv", "text/csv");
  };
  return (
    <button
      type="button"
      class="button csv-button"
      disabled={loaded() !== undefined}
      title={problem() || "The filtered list as a file"}
      onClick={() => void save()}
    >
      <Icon name="download" />
      <Show when={loaded()} fallback={problem() === "" ? "CSV" : "CSV: try again"}>
        {(count) => <>{formatCount(count())} read</>}
      </Show>
    </button>
  );
}
