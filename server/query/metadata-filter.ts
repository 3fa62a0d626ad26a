import { limits } from "../../contract/limits.ts";
import { metadataMap } from "../fleet/metadata-text.ts";
import type { Parameters } from "./parameters.ts";
import type { Query } from "./reader.ts";
import { invalidParameter } from "./refusal.ts";

/** `meta.KEY=VALUE`: the device's newest metadata has one of these values; an empty one means that it has not got the key. */
export type MetadataFilter = readonly (readonly [key: string, values: readonly string[]])[];

/** For the names of a route that takes such a filter. */
export const metadataParameters = "meta.*";

export function readMetadataFilter(parameters: Parameters): MetadataFilter {
  return parameters.prefixed("meta.", limits.metadataCharacters, limits.metadataFilters);
}

/** A parameter `meta.KEY`. */
export function readMetadataKey(parameters: Parameters, name: string): string | undefined {
  const given = parameters.text(name, "meta.".length + limits.metadataCharacters);
  if (given === undefined) return undefined;
  const key = given.startsWith("meta.") ? given.slice("meta.".length) : "";
  if (key === "") throw invalidParameter(name, "meta.KEY, a key of the devices' metadata");
  return key;
}

/** The devices that match, as a subquery, and its parameters. A device's metadata is its newest, whatever its events said then. */
export function matchingDevices(filter: MetadataFilter): { sql: string; params: Query["params"] } {
  const { conditions, params } = metadataConditions(filter);
  return {
    sql: `SELECT device_id FROM (${newestMetadata}) ${conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`}`,
    params,
  };
}

/** Every device with its newest metadata. */
export const newestMetadata =
  "SELECT device_id, argMaxMerge(newest_metadata) AS metadata_text FROM devices GROUP BY device_id";

/**
 * Conditions on a column `metadata_text`, and their parameters. Texts that do not contain a value are told apart without
 * being taken to pieces; in JSON a value may look different.
 */
export function metadataConditions(filter: MetadataFilter): { conditions: string[]; params: Query["params"] } {
  const params: Record<string, string | readonly string[]> = {};
  const conditions = filter.map(([key, values], index) => {
    const [keyName, valuesName] = [`metaKey${index}`, `metaValues${index}`];
    params[keyName] = key;
    params[valuesName] = values;
    return `(NOT startsWith(metadata_text, '\\x1f')
        OR arrayExists(value -> position(metadata_text, value) > 0, {${valuesName}:Array(String)}))
      AND has({${valuesName}:Array(String)}, (${metadataMap("metadata_text")})[{${keyName}:String}])`;
  });
  return { conditions, params };
}
