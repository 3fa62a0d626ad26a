/** In a data directory that a restore has begun and not finished. */
export const restoreMarkerName = "restore-unfinished";
