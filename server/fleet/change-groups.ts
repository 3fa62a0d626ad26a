import type { Change, ChangeKind } from "../../contract/fleet.ts";
import type { DeviceChange, DeviceChangeKind } from "./presence.ts";

/** Changes of one kind belong together until nothing has come for so long. */
const quietMs = 1_500;
/** However long it goes on: a fleet that falls silent device by device is told of in parts. */
const burstMaxMs = 8_000;
const burstMaxChanges = 20_000;
/** Fewer devices than this are named one by one. */
const groupMin = 5;
/** So many at once that have nothing in common are still one thing that happened. */
const crowdMin = 20;
/** A group went down, or came back, when this share of it did. */
const groupShare = 0.5;
/** The fleet as a whole did. */
const fleetShare = 0.8;
/** Groups made of one burst. */
const groupsMax = 20;

const groupKinds = {
  silent: "outage",
  online: "recovery",
  new: "arrival",
  metadata: "rollout",
} as const satisfies Record<DeviceChangeKind, ChangeKind>;

export interface Group {
  readonly key: string;
  readonly value: string;
}

/** A change as it is kept and shown. */
export interface KeptChange extends Change {
  /** What makes it one of its kind and time: the device, or the group. */
  readonly subject: string;
}

export interface ChangeGroupsDeps {
  /** How many devices a group has; the fleet for null. */
  readonly groupSize: (group: Group | null) => number;
}

/**
 * Holds changes back until those that belong together are there, and says what devices have in common: "site-4: 38 devices"
 * instead of 38 lines. Every device's own change is kept as well, marked as folded.
 */
export class ChangeGroups {
  readonly #deps: ChangeGroupsDeps;
  readonly #bursts = new Map<DeviceChangeKind, { startedMs: number; newestMs: number; changes: DeviceChange[] }>();

  constructor(deps: ChangeGroupsDeps) {
    this.#deps = deps;
  }

  add(changes: readonly DeviceChange[], nowMs: number): void {
    for (const change of changes) {
      let burst = this.#bursts.get(change.kind);
      if (burst === undefined) {
        burst = { startedMs: nowMs, newestMs: nowMs, changes: [] };
        this.#bursts.set(change.kind, burst);
      }
      burst.newestMs = nowMs;
      burst.changes.push(change);
    }
  }

  /** What is complete, oldest first: group changes before the devices that they stand for. */
  take(nowMs: number, all = false): KeptChange[] {
    const taken: KeptChange[] = [];
    for (const [kind, { startedMs, newestMs, changes }] of this.#bursts) {
      const isComplete =
        nowMs - newestMs >= quietMs || nowMs - startedMs >= burstMaxMs || changes.length >= burstMaxChanges;
      if (!isComplete && !all) continue;
      this.#bursts.delete(kind);
      taken.push(...this.#fold(kind, changes));
    }
    return taken;
  }

  #fold(kind: DeviceChangeKind, changes: readonly DeviceChange[]): KeptChange[] {
    const groups: KeptChange[] = [];
    const devices: KeptChange[] = [];
    let left = changes;
    const fold = (group: Group | null, members: readonly DeviceChange[], of: number): void => {
      groups.push(groupChange(kind, group, members, of));
      for (const member of members) devices.push(deviceChange(member, group, true));
    };
    const fleet = this.#deps.groupSize(null);
    if (kind !== "metadata" && left.length >= crowdMin && left.length >= fleetShare * fleet) {
      fold(null, left, fleet);
      left = [];
    }
    while (left.length >= groupMin && groups.length < groupsMax) {
      const found = this.#largestGroup(kind, left);
      if (found === null) break;
      const isMember = new Set(found.members);
      fold(found.group, found.members, found.of);
      left = left.filter((change) => !isMember.has(change));
    }
    if (left.length >= crowdMin) {
      fold(null, left, fleet);
      left = [];
    }
    return [...groups, ...devices, ...left.map((change) => deviceChange(change, null, false))];
  }

  #largestGroup(
    kind: DeviceChangeKind,
    changes: readonly DeviceChange[],
  ): { group: Group; members: DeviceChange[]; of: number } | null {
    const byPair = new Map<string, { group: Group; members: DeviceChange[] }>();
    for (const change of changes) {
      for (const [key, value] of sharedBy(change)) {
        const pair = JSON.stringify([key, value]);
        const known = byPair.get(pair);
        if (known === undefined) byPair.set(pair, { group: { key, value }, members: [change] });
        else known.members.push(change);
      }
    }
    const fleet = this.#deps.groupSize(null);
    let best: { group: Group; members: DeviceChange[]; of: number } | null = null;
    for (const { group, members } of byPair.values()) {
      if (members.length < groupMin || members.length < (best?.members.length ?? 0)) continue;
      const of = this.#deps.groupSize(group);
      // What every device has does not set these apart: a run's number, the only site.
      if (of >= fleet && kind !== "metadata") continue;
      if ((kind === "silent" || kind === "online") && members.length < groupShare * of) continue;
      // Of two that explain as much, the one that says more.
      if (best !== null && members.length === best.members.length && of >= best.of) continue;
      best = { group, members, of };
    }
    return best;
  }
}

/** New metadata is what a change of metadata has in common with others. */
function sharedBy(change: DeviceChange): (readonly [string, string])[] {
  if (change.kind !== "metadata") return Object.entries(change.metadata);
  return Object.entries(change.detail.changed ?? {}).flatMap(([key, { to }]) =>
    to === null ? [] : [[key, to] as const],
  );
}

function groupChange(
  kind: DeviceChangeKind,
  group: Group | null,
  members: readonly DeviceChange[],
  of: number,
): KeptChange {
  const atMs = Math.min(...members.slice(0, 1_000).map((member) => member.atMs));
  return {
    at: new Date(atMs).toISOString(),
    kind: groupKinds[kind],
    device_id: null,
    detail: { ...(group === null ? {} : { group }), devices: members.length, of },
    subject: group === null ? "" : `${group.key}=${group.value}`,
  };
}

function deviceChange(change: DeviceChange, group: Group | null, folded: boolean): KeptChange {
  return {
    at: new Date(change.atMs).toISOString(),
    kind: change.kind,
    device_id: change.deviceId,
    detail: { ...change.detail, ...(group === null ? {} : { group }), ...(folded ? { folded } : {}) },
    subject: change.deviceId,
  };
}
