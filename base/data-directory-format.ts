/** In a data directory that a restore has begun and not finished. */
export const restoreMarkerName = "restore-unfinished";

/**
 * Of a data directory as a whole. It is raised with any change that an older release would misread, in whichever file, so
 * that such a release refuses the directory instead. Its parts have versions of their own:
 *
 * | format | journal files | rows | notes, dead letters | schema | store |
 * |---|---|---|---|---|---|
 * | 1 | 1 | 1 | as in format 1 | files of `ddl/`, recorded in `sluice_schema` | migrations by room, recorded in it |
 */
export const dataFormat = 1;

/** Names the format and the release that wrote it last. Missing in directories from before 0.2.0, which are of format 1. */
export const formatName = "format.json";
