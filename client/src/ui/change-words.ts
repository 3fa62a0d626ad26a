import type { Change } from "../../../contract/fleet.ts";
import { devicePath } from "../app/router.ts";
import { formatCount, formatDuration, plural } from "./format.ts";

interface ChangeWords {
  /** Who it happened to; undefined when it is the fleet as a whole. */
  subject: string | undefined;
  text: string;
  /** Where the subject, or the list behind the text, is. */
  path: string;
}

/** One change as a sentence: "site-4: 38 of 400 devices went silent". */
export function describeChange(change: Change): ChangeWords {
  const { kind, device_id, detail } = change;
  if (kind === "silent" || kind === "online" || kind === "new" || kind === "metadata")
    return { subject: device_id ?? undefined, text: deviceWords(kind, detail), path: devicePath(device_id ?? "") };
  return { subject: detail.group?.value, text: groupWords(kind, detail), path: groupPath(kind, detail) };
}

type Detail = Change["detail"];

function deviceWords(kind: "silent" | "online" | "new" | "metadata", detail: Detail): string {
  if (kind === "silent") return "went silent";
  if (kind === "new") return "reported for the first time";
  if (kind === "online") {
    return detail.silent_seconds === undefined
      ? "came back"
      : `came back after ${formatDuration(detail.silent_seconds)}`;
  }
  return changedWords(detail) ?? "changed its metadata";
}

function changedWords(detail: Detail): string | undefined {
  const changed = Object.entries(detail.changed ?? {});
  if (changed.length === 0) return undefined;
  return changed
    .slice(0, 3)
    .map(([key, { from, to }]) =>
      from === null ? `${key} is now ${to}` : to === null ? `${key} is gone` : `${key} ${from} → ${to}`,
    )
    .join(", ");
}

type GroupKind = "outage" | "recovery" | "arrival" | "rollout";

function groupWords(kind: GroupKind, detail: Detail): string {
  const { devices = 0, of } = detail;
  const part =
    of === undefined || of === devices
      ? plural(devices, "device")
      : `${formatCount(devices)} of ${plural(of, "device")}`;
  if (kind === "outage") return `${part} went silent`;
  if (kind === "recovery") return `${part} came back`;
  if (kind === "arrival") return `${plural(devices, "device")} reported for the first time`;
  return `${plural(devices, "device")}: ${changedWords(detail) ?? "new metadata"}`;
}

function groupPath(kind: GroupKind, { group }: Detail): string {
  const query = new URLSearchParams({
    ...(kind === "outage" ? { status: "silent" } : kind === "arrival" ? { sort: "-first_seen" } : {}),
    ...(group ? { [`meta.${group.key}`]: group.value } : {}),
  });
  return query.size > 0 ? `/devices?${query}` : "/devices";
}
