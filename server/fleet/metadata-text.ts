const separator = "\x1f";

/** Reads the text that `devices.newest_metadata` holds (ddl/005_fleet.sql). Null: it is not one. */
export function decodeMetadata(text: string): Record<string, string> | null {
  if (text === "") return {};
  if (!text.startsWith(separator)) return decodeJson(text);
  const parts = text.slice(1).split(separator);
  if (parts.length % 2 !== 0) return null;
  const keys = parts.length / 2;
  // `fromEntries` defines properties, so that a key such as __proto__ is one like any other.
  return Object.fromEntries(parts.slice(0, keys).map((key, index) => [key, parts[keys + index] as string]));
}

function decodeJson(text: string): Record<string, string> | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, String(each)]));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** The same as a Map in SQL, of the column or expression `text`. */
export const metadataMap = (text: string): string => `
  if(startsWith(${text}, '\\x1f'),
     mapFromArrays(
       arraySlice(splitByChar('\\x1f', ${text}) AS metadata_parts, 2, intDiv(length(metadata_parts), 2)),
       arraySlice(metadata_parts, 2 + intDiv(length(metadata_parts), 2))),
     JSONExtract(${text}, 'Map(String, String)'))`;
