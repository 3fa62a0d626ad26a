import type { Change } from "../../../contract/fleet.ts";
import { devicePath } from "../app/router.ts";
import { formatCount, formatDuration } from "./format.ts";

interface ChangeWords {
  /** Who it happened to; undefined when there is nobody to link to. */
  subject: string | undefined;
  text: string;
  /** Where the subject is. */
  path: string;
}

/** One change as a sentence: "site-4: 38 of 400 devices went silent". */
export function describeChange({ kind, device_id, detail }: Change): ChangeWords {
  if (kind === "outage") {
    const { group, devices = 0, of } = detail;
    const many = of === undefined ? formatCount(devices) : `${formatCount(devices)} of ${formatCount(of)}`;
    const subject = group?.value;
    const path = group
      ? `/devices?${new URLSearchParams({ status: "silent", [`meta.${group.key}`]: group.value })}`
      : "/devices?status=silent";
    return { subject: subject ?? "Fleet", text: `${many} devices went silent`, path };
  }
  const path = devicePath(device_id ?? "");
  return { subject: device_id ?? undefined, text: deviceWords(kind, detail), path };
}

function deviceWords(kind: Change["kind"], detail: Change["detail"]): string {
  if (kind === "silent") return "went silent";
  if (kind === "new") return "reported for the first time";
  if (kind === "online") {
    return detail.silent_seconds === undefined
      ? "came back"
      : `came back after ${formatDuration(detail.silent_seconds)}`;
  }
  const changed = Object.entries(detail.changed ?? {});
  if (changed.length === 0) return "changed its metadata";
  return changed
    .slice(0, 3)
    .map(([key, { from, to }]) =>
      from === null ? `${key} is now ${to}` : to === null ? `${key} is gone` : `${key} ${from} → ${to}`,
    )
    .join(", ");
}
