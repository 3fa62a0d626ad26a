import "./devices-page.css";
import { type JSX, Show } from "solid-js";
import { formatCount } from "../../ui/format.ts";
import { DeviceGroupsTable } from "./device-groups.tsx";
import { DeviceTable } from "./device-table.tsx";
import { createDevicesView } from "./devices-state.ts";
import { DevicesToolbar } from "./devices-toolbar.tsx";
import { FacetPanel } from "./facet-panel.tsx";

export default function DevicesPage(): JSX.Element {
  const view = createDevicesView();
  return (
    <div class="page fill-page devices-page">
      <div class="page-head">
        <h1>Devices</h1>
        <Show when={view.facets()}>
          {(facets) => (
            <p class="panel-note">
              <Show when={facets().silent > 0} fallback="none silent">
                <b class="silent-words">{formatCount(facets().silent)} silent</b>
              </Show>{" "}
              of {formatCount(facets().devices)}
            </p>
          )}
        </Show>
      </div>
      <DevicesToolbar view={view} />
      <div class="devices-grid">
        <FacetPanel view={view} />
        <div class="devices-main">
          <Show when={view.group() === ""} fallback={<DeviceGroupsTable view={view} />}>
            <DeviceTable view={view} />
          </Show>
        </div>
      </div>
    </div>
  );
}
