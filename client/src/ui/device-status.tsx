import type { JSX } from "solid-js";
import type { DeviceStatus } from "../../../contract/read.ts";
import { formatCompact, formatDuration } from "./format.ts";

/** Filled and hollow, and in words: never by colour alone. */
export function Status(props: { status: DeviceStatus }): JSX.Element {
  return (
    <span class="status" data-status={props.status}>
      <i />
      {props.status === "online" ? "Online" : "Silent"}
    </span>
  );
}

export function usualInterval(seconds: number | null): string {
  if (seconds === null) return "–";
  return seconds < 1 ? `${formatCompact(1 / seconds)} /s` : `every ${formatDuration(seconds)}`;
}
