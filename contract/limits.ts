/** The limits of one event and of the read routes, stated once; schemas, encoder, `--help` and tests share them. */
export const limits = {
  deviceIdCharacters: 256,
  eventTypeCharacters: 128,
  valueStringBytes: 64 * 1024,
  metadataKeys: 64,
  errorDetails: 100,
  idempotencyKeyCharacters: 128,
  idempotencyKeyAgeMs: 3_600_000,
  waitStoredMs: 30_000,
  streamTypesDefault: 10,
  streamTypesMax: 200,
  deviceEventsPerSecond: 20,
  historyPoints: 2_000,
  /** Event types whose last values a list of devices shows. */
  lastValueTypes: 5,
  historySeries: 50,
  pageDefault: 100,
  pageMax: 1_000,
  changesInUpdate: 50,
  deviceGroups: 1_000,
  facetKeys: 20,
  facetValues: 20,
  /** Conditions `meta.KEY=VALUE` in one request. */
  metadataFilters: 8,
  metadataCharacters: 1_024,
  sqlCharacters: 20_000,
  sqlRows: 10_000,
  viewNameCharacters: 100,
  viewPathCharacters: 4_000,
  viewRequests: 20,
} as const;

/** Characters are code points, as the event's schema counts them: an emoji is one, though JavaScript's `length` says two. */
export function isLonger(text: string, maxCharacters: number): boolean {
  return text.length > maxCharacters && (text.length > 2 * maxCharacters || [...text].length > maxCharacters);
}
