import { type JSX, Show } from "solid-js";
import type { ApiFailure } from "../../api/api.ts";
import { useApp } from "../../app/context.tsx";
import { FirstEvent } from "../../ui/first-event.tsx";
import { Blank, Notice } from "../../ui/notice.tsx";
import type { DevicesView } from "./devices-state.ts";

export function ListFailure(props: { failure: ApiFailure; retry(): void }): JSX.Element {
  return (
    <Notice
      tone="warn"
      title="The list of devices is not up to date."
      action={
        <button type="button" class="button" onClick={() => props.retry()}>
          Try again
        </button>
      }
    >
      {props.failure.message} It is read again every few seconds.
    </Notice>
  );
}

export function NoDevices(props: { view: DevicesView }): JSX.Element {
  const { router } = useApp();
  const showAll = (): void => {
    props.view.filter.clear();
    router.setParams({ q: undefined, status: undefined });
  };
  return (
    <Show
      when={props.view.filtered()}
      fallback={
        <Blank title="No device has reported yet">
          <p>A device appears here with its first event. Send one from a terminal:</p>
          <FirstEvent />
        </Blank>
      }
    >
      <Blank title={props.view.status() === "silent" ? "No device is silent" : "No device matches"}>
        <p>
          Search looks for the text anywhere in a device's id.{" "}
          <button type="button" class="link" onClick={showAll}>
            Show all devices
          </button>
        </p>
      </Blank>
    </Show>
  );
}
