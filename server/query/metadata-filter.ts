import { limits } from "../../contract/limits.ts";
import { metadataMap } from "../fleet/metadata-text.ts";
import { type ParameterRow, prefixed, text } from "./parameters.ts";
import type { Query } from "./reader.ts";
import { invalidParameter } from "./refusal.ts";

/** `meta.KEY=VALUE`: the device's newest metadata has one of these values; an empty one means that it has not got the key. */
export type MetadataFilter = readonly (readonly [key: string, values: readonly string[]])[];

/** For the table of a route that filters devices by their newest metadata. */
export const metadataParameters = {
  "meta.*": prefixed(
    "meta.KEY=VALUE: the newest metadata of the device has this value; the same key again: or this one; an empty value: without the key",
    limits.metadataCharacters,
    limits.metadataFilters,
  ),
};

const keyText = text("", "meta.".length + limits.metadataCharacters);

/** A parameter whose value is `meta.KEY`. */
export const metadataKey = (description: string): ParameterRow<string | undefined> => ({
  description,
  schema: { type: "string" },
  read(given, name) {
    const value = keyText.read(given, name);
    if (value === undefined) return undefined;
    const key = value.startsWith("meta.") ? value.slice("meta.".length) : "";
    if (key === "") throw invalidParameter(name, "meta.KEY, a key of the devices' metadata");
    return key;
  },
});

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
