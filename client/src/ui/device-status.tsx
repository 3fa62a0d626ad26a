import type { JSX } from "solid-js";
import type { DeviceStatus } from "../../../contract/read.ts";

/** Filled and hollow, and in words: never by colour alone. */
export function Status(props: { status: DeviceStatus }): JSX.Element {
  return (
    <span class="status" data-status={props.status}>
      <i />
      {props.status === "online" ? "Online" : "Silent"}
    </span>
  );
}
