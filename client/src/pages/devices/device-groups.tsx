import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import type { DeviceGroups } from "../../../../contract/fleet.ts";
import { createQuery } from "../../api/query.ts";
import { createClockWords } from "../../app/clock-words.ts";
import { useApp } from "../../app/context.tsx";
import { devicePath, metadataPrefix } from "../../app/router.ts";
import { Status } from "../../ui/device-status.tsx";
import { formatCount } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import type { DevicesView } from "./devices-state.ts";

const rereadEveryMs = 5_000;
/** Of a group that is open; the list itself has the rest. */
const shownInGroup = 20;

type Group = DeviceGroups["groups"][number];

/** The fleet by one key of its metadata: a row for each value, which opens to its devices, the silent ones first. */
export function DeviceGroupsTable(props: { view: DevicesView }): JSX.Element {
  const { api } = useApp();
  const groups = createQuery(
    createMemo(() => ({
      key: props.view.group(),
      search: props.view.search().trim(),
      meta: props.view.filter.query(),
    })),
    ({ key, search, meta }, signal) => api.get(`/api/devices?group=${key}`, { ...meta, search }, signal),
    { everyMs: rereadEveryMs },
  );
  const values = createMemo<(string | null)[]>(() => groups.data()?.groups.map(({ value }) => value) ?? [], [], {
    equals: (a, b) => a.length === b.length && a.every((value, index) => value === b[index]),
  });
  return (
    <section class="panel groups" aria-label={`Devices by ${props.view.group().slice(metadataPrefix.length)}`}>
      <div class="group-row group-head">
        <span>{props.view.group().slice(metadataPrefix.length)}</span>
        <span>Devices</span>
        <span>Online</span>
        <span>Silent</span>
        <span class="group-bar">Share silent</span>
      </div>
      <Show
        when={values().length > 0}
        fallback={
          <p class="table-empty">
            {groups.failure()?.message ?? (groups.data() ? "No device matches." : "Loading the groups")}
          </p>
        }
      >
        <For each={values()}>
          {(value) => {
            const group = createMemo(() => groups.data()?.groups.find((each) => each.value === value));
            return <Show when={group()}>{(each) => <GroupRow group={each()} view={props.view} />}</Show>;
          }}
        </For>
      </Show>
      <Show when={groups.data() && groups.data()!.total > values().length}>
        <p class="table-empty">
          The largest {formatCount(values().length)} of {formatCount(groups.data()!.total)} values.
        </p>
      </Show>
    </section>
  );
}

function GroupRow(props: { group: Group; view: DevicesView }): JSX.Element {
  const [open, setOpen] = createSignal(false);
  const share = (): number => (props.group.devices > 0 ? props.group.silent / props.group.devices : 0);
  return (
    <div class="group" data-silent={props.group.silent > 0 ? "" : undefined}>
      <button type="button" class="group-row" aria-expanded={open()} onClick={() => setOpen(!open())}>
        <span class="group-name">
          <Icon name={open() ? "expand" : "forward"} />
          {props.group.value ?? "without it"}
        </span>
        <span>{formatCount(props.group.devices)}</span>
        <span>{formatCount(props.group.online)}</span>
        <span class="group-silent">{formatCount(props.group.silent)}</span>
        <span class="group-bar">
          <i aria-hidden="true" style={{ "--share": `${share() * 100}%` }} />
          {(share() * 100).toFixed(share() > 0 && share() < 0.1 ? 1 : 0)}%
        </span>
      </button>
      <Show when={open()}>
        <GroupDevices group={props.group} view={props.view} />
      </Show>
    </div>
  );
}

function GroupDevices(props: { group: Group; view: DevicesView }): JSX.Element {
  const { api, router } = useApp();
  const clock = createClockWords();
  const devices = createQuery(
    () => props.group.value,
    async (value, signal) => {
      const query = {
        ...props.view.filter.query(),
        search: props.view.search().trim(),
        sort: "last_seen",
        limit: String(shownInGroup),
        [props.view.group()]: value ?? "",
      };
      const silent = await api.get("/api/devices", { ...query, status: "silent" }, signal);
      if (!silent.ok || silent.data.devices.length >= shownInGroup) return silent;
      const online = await api.get("/api/devices", { ...query, status: "online", sort: "device_id" }, signal);
      if (!online.ok) return online;
      return {
        ok: true,
        data: { ...silent.data, devices: [...silent.data.devices, ...online.data.devices].slice(0, shownInGroup) },
      };
    },
    { everyMs: rereadEveryMs },
  );
  const showAll = (): void => {
    if (props.group.value !== null)
      router.setParams({ [props.view.group()]: props.group.value, group: undefined }, { push: true });
  };
  return (
    <div class="group-devices">
      <ul>
        <For
          each={devices.data()?.devices}
          fallback={<li class="panel-note">{devices.failure()?.message ?? "Loading the devices"}</li>}
        >
          {(device) => (
            <li>
              <a class="row-link" href={router.href(devicePath(device.device_id))}>
                {device.device_id}
              </a>
              <Status status={device.status} />
              <span>{clock.ago(device.last_seen)}</span>
            </li>
          )}
        </For>
      </ul>
      <Show when={props.group.value !== null && props.group.devices > shownInGroup}>
        <button type="button" class="link" onClick={showAll}>
          All {formatCount(props.group.devices)} devices of {props.group.value}
        </button>
      </Show>
    </div>
  );
}
