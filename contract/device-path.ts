/**
 * A device's id as one segment of a path. The ids `.` and `..` are read by every URL parser as steps in the path, encoded
 * or not, so they get a `~` in front; so do ids that look like the result, which keeps the way back unambiguous.
 */
export function encodeDeviceSegment(id: string): string {
  return encodeURIComponent(/^~*\.{1,2}$/.test(id) ? `~${id}` : id);
}

/** The id that a decoded path segment stands for. */
export function decodeDeviceSegment(segment: string): string {
  return /^~+\.{1,2}$/.test(segment) ? segment.slice(1) : segment;
}
