import type { Change } from "../../../contract/fleet.ts";

/** What the feed holds; older ones are in `/api/changes`. */
export const feedMax = 200;

export function changeKey({ at, kind, device_id, detail }: Change): string {
  return `${at} ${kind} ${device_id ?? ""} ${detail.group?.key ?? ""} ${detail.group?.value ?? ""}`;
}

/**
 * Newest first, each once. What the stream says and what is read back overlap; an outage can be told again with more devices,
 * and then the newer word counts.
 */
export function mergeChanges(known: readonly Change[], more: readonly Change[]): Change[] {
  const byKey = new Map(known.map((change) => [changeKey(change), change]));
  for (const change of more) byKey.set(changeKey(change), change);
  return [...byKey.values()].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0)).slice(0, feedMax);
}
