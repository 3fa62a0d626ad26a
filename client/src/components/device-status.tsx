import type { JSX } from "solid-js";
import type { DeviceStatus } from "../../../server/contract/read.ts";

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
  if (seconds < 1) return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(1 / seconds)} /s`;
  return `every ${new Intl.NumberFormat(undefined, { maximumFractionDigits: seconds < 10 ? 1 : 0 }).format(seconds)} s`;
}
