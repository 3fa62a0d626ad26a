import { limits } from "../../contract/limits.ts";
import { type CensusFilter, countDevices, countFacets, countGroups, type Roll } from "../fleet/census.ts";
import { metadataParameters } from "./metadata-filter.ts";
import { choice, type ParametersOf, text } from "./parameters.ts";
import { Refusal } from "./refusal.ts";

/** What the fleet's own register answers, without a query: counts of devices by their metadata. */
export interface Census {
  /** Null until ClickHouse has told which devices there are. */
  readonly roll: Roll | null;
}

/** Which devices are counted. */
export const censusParameters = {
  search: text("part of the id", limits.deviceIdCharacters),
  status: choice("online or silent", ["online", "silent"]),
  ...metadataParameters,
};
const waitMs = 5_000;
const pollMs = 50;

export const censusFilterOf = (given: ParametersOf<typeof censusParameters>): CensusFilter => ({
  search: given.search ?? "",
  status: given.status,
  metadata: given["meta.*"],
});

/** A fleet that is being read is waited for. */
async function rollOf(census: Census, signal: AbortSignal): Promise<Roll> {
  for (const deadline = performance.now() + waitMs; ; await Bun.sleep(pollMs)) {
    const { roll } = census;
    if (roll !== null) return roll;
    if (signal.aborted || performance.now() > deadline) {
      throw new Refusal("clickhouse_unavailable", "ClickHouse has not told yet which devices there are.");
    }
  }
}

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const facetsOf = async (census: Census, filter: CensusFilter, keys: readonly string[], signal: AbortSignal) =>
  countFacets(await rollOf(census, signal), filter, keys, pause);

export const devicesOf = async (census: Census, filter: CensusFilter, signal: AbortSignal) =>
  countDevices(await rollOf(census, signal), filter, pause);

export const groupsOf = async (census: Census, filter: CensusFilter, key: string, signal: AbortSignal) =>
  countGroups(await rollOf(census, signal), filter, key, pause);
