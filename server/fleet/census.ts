import type { DeviceGroups, Facets } from "../../contract/fleet.ts";
import { limits } from "../../contract/limits.ts";
import type { Profile } from "./device-register.ts";

/** The devices of the register, one by one, without an object for each. */
export interface Roll {
  readonly size: number;
  /** Null: not stored yet. */
  name(device: number): string | null;
  profile(device: number): Profile | null;
  isSilent(device: number): boolean;
}

export interface CensusFilter {
  /** Part of the name, in any case; empty: all. */
  readonly search: string;
  readonly metadata: readonly (readonly [key: string, values: readonly string[]])[];
  readonly status: "online" | "silent" | undefined;
}

interface Tally {
  devices: number;
  silent: number;
}

/** Devices, or profiles, looked at before other work has its turn: about a millisecond. */
const sliceDevices = 8_192;
const sliceProfiles = 2_048;
/** A key with more different values than this, and than this share of its devices, names devices and does not group them. */
const identifyingMin = 50;
const identifyingShare = 0.5;

/** How many devices there are, and how many of them are silent, by what they have in common. */
async function tally(
  roll: Roll,
  filter: CensusFilter,
  pause: () => Promise<void>,
): Promise<Map<Profile | null, Tally>> {
  const tallies = new Map<Profile | null, Tally>();
  const matching = new Map<Profile | null, boolean>();
  const search = filter.search.toLowerCase();
  const { size } = roll;
  for (let device = 0; device < size; device++) {
    if (device % sliceDevices === sliceDevices - 1) await pause();
    const profile = roll.profile(device);
    let matches = matching.get(profile);
    if (matches === undefined) {
      matches = hasMetadata(profile, filter.metadata);
      matching.set(profile, matches);
    }
    const silent = roll.isSilent(device);
    if (!matches || (filter.status !== undefined && silent !== (filter.status === "silent"))) continue;
    if (search !== "" && !roll.name(device)?.toLowerCase().includes(search)) continue;
    let known = tallies.get(profile);
    if (known === undefined) {
      known = { devices: 0, silent: 0 };
      tallies.set(profile, known);
    }
    known.devices++;
    if (silent) known.silent++;
  }
  return tallies;
}

function hasMetadata(profile: Profile | null, filter: CensusFilter["metadata"]): boolean {
  return filter.every(([key, values]) => values.includes(metadataValue(profile, key) ?? ""));
}

function metadataValue(profile: Profile | null, key: string): string | null {
  return profile !== null && Object.hasOwn(profile.metadata, key) ? (profile.metadata[key] ?? null) : null;
}

/** How many devices match. */
export async function countDevices(roll: Roll, filter: CensusFilter, pause: () => Promise<void>): Promise<Tally> {
  const all: Tally = { devices: 0, silent: 0 };
  for (const each of (await tally(roll, filter, pause)).values()) {
    all.devices += each.devices;
    all.silent += each.silent;
  }
  return all;
}

/** Each group of devices with one value of `key`, largest first. */
export async function countGroups(
  roll: Roll,
  filter: CensusFilter,
  key: string,
  pause: () => Promise<void>,
): Promise<DeviceGroups> {
  const groups = new Map<string | null, Tally>();
  for (const [profile, each] of await tally(roll, filter, pause)) add(groups, metadataValue(profile, key), each);
  const sorted = [...groups].sort(([a, x], [b, y]) => y.devices - x.devices || compareText(a ?? "", b ?? ""));
  return {
    key,
    groups: sorted.slice(0, limits.deviceGroups).map(([value, { devices, silent }]) => ({
      value,
      devices,
      online: devices - silent,
      silent,
    })),
    total: groups.size,
  };
}

/** The keys of the devices' metadata with their commonest values: those asked for, else those that group devices. */
export async function countFacets(
  roll: Roll,
  filter: CensusFilter,
  keys: readonly string[],
  pause: () => Promise<void>,
): Promise<Facets> {
  const byKey = new Map<string, Map<string, Tally>>();
  const all: Tally = { devices: 0, silent: 0 };
  let looked = 0;
  for (const [profile, each] of await tally(roll, filter, pause)) {
    if (++looked % sliceProfiles === 0) await pause();
    all.devices += each.devices;
    all.silent += each.silent;
    for (const [key, value] of Object.entries(profile?.metadata ?? {})) {
      if (keys.length > 0 && !keys.includes(key)) continue;
      let values = byKey.get(key);
      if (values === undefined) {
        values = new Map();
        byKey.set(key, values);
      }
      add(values, value, each);
    }
  }
  const facets = [...byKey].map(([key, values]) => createFacet(key, values));
  const shown = keys.length > 0 ? facets : facets.filter((facet) => !isIdentifying(facet));
  shown.sort((a, b) => b.devices - a.devices || compareText(a.key, b.key));
  return { devices: all.devices, silent: all.silent, facets: shown.slice(0, limits.facetKeys) };
}

function add<T>(tallies: Map<T, Tally>, of: T, { devices, silent }: Tally): void {
  const known = tallies.get(of);
  if (known === undefined) tallies.set(of, { devices, silent });
  else {
    known.devices += devices;
    known.silent += silent;
  }
}

function createFacet(key: string, values: ReadonlyMap<string, Tally>): Facets["facets"][number] {
  let devices = 0;
  for (const each of values.values()) devices += each.devices;
  const sorted = [...values].sort(([a, x], [b, y]) => y.devices - x.devices || compareText(a, b));
  return {
    key,
    devices,
    distinct: values.size,
    values: sorted.slice(0, limits.facetValues).map(([value, each]) => ({ value, ...each })),
  };
}

const isIdentifying = ({ devices, distinct }: Facets["facets"][number]): boolean =>
  distinct > identifyingMin && distinct > identifyingShare * devices;

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
