/** Where things lie in the module's memory, which never grows: what does not fit is scanned in several calls. */

/** Bytes of a body that one call looks at. An event that is longer is left to the slow path. */
export const windowBytes: usize = 1 << 18;
/** Events that one call reads. */
export const eventsMax: i32 = 2048;
/** Event types that are remembered. A call may bring `eventsMax` new ones, so it begins with half of the room or more. */
export const typesMax: i32 = 2 * eventsMax;

/** Vectors are read and written whole, past the end of what is meant. */
const padding: usize = 64;

// Below are AssemblyScript's own tables.
export const inputAt: usize = 1 << 16;
/** Rows in RowBinary; they never take more bytes than their JSON. */
export const rowsAt: usize = inputAt + windowBytes + padding;
/** The metadata of the event that is being read, as it will stand in its row. */
export const metadataAt: usize = rowsAt + windowBytes + padding;
export const prefixAt: usize = metadataAt + windowBytes + padding;
export const prefixBytesMax: usize = 1024;

/** What is told of each event: one array a column, as `ObservationQueue` has them. */
export const typesAt: usize = prefixAt + prefixBytesMax + padding;
export const secondsAt: usize = typesAt + 4 * eventsMax;
export const hashesAAt: usize = secondsAt + 4 * eventsMax;
export const hashesBAt: usize = hashesAAt + 4 * eventsMax;
export const rowStartsAt: usize = hashesBAt + 4 * eventsMax;
export const valuesAt: usize = rowStartsAt + 4 * eventsMax;

/** The types that a call met, each once. */
export const metTypesAt: usize = valuesAt + 8 * eventsMax;
/** Of each type: length, the call that met it last, and at 16 its name, padded with zeros. */
export const typeEntryBytes: usize = 144;
export const typeNameOffset: usize = 16;
export const typeEntriesAt: usize = metTypesAt + 4 * eventsMax;
/** Hash table: the number of a type + 1, or 0. */
export const typeSlots: i32 = 4 * typesMax;
export const typeSlotsAt: usize = typeEntriesAt + typeEntryBytes * typesMax;
/** What a call came to; see `Outcome` in event-scanner.ts. */
export const outcomeAt: usize = typeSlotsAt + 4 * typeSlots;
const endAt: usize = outcomeAt + 64;

export const pages: i32 = <i32>((endAt + 0xffff) >>> 16);
