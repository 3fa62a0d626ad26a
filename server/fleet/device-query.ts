/** A device whose interval is not known yet counts as reporting this often. */
export const unknownIntervalMs = 30_000;
/** Beyond what a device's own reports vary by: the way through the network and the journal. */
const slackMs = 1_000;
/** Milliseconds in a UInt32. */
const silentAfterMaxMs = 4_000_000_000;

/**
 * One row a device of `devices`, as everything that shows a fleet sees it:
 *
 * - `interval_seconds`: its usual interval, the median gap between its last eight reports (ddl/003_devices.sql); with a single
 *   report, the mean gap of the events in it; null with a single event, or when all have one time.
 * - `silent_after_ms`: how long after it was last heard it counts as silent: the longest of its last gaps but one, for that
 *   one may be an outage, at least the interval and at most twice, and a second. So a device that reports like a clock is
 *   missed one second after its report was due, and one that wavers is given what it takes. With fewer than three gaps
 *   there is nothing to tell by, and it is twice the interval.
 * - `heard_ms`: when Sluice last heard from it. Rows of before ddl/005_fleet.sql know only the newest event's time.
 *
 * `where` filters rows, `extra` adds columns.
 */
export const fleetDevices = (where = "", extra = ""): string => `
  SELECT
    device_id, first_ms, last_ms, events, heard_ms, first_heard_ms, metadata_text,
    arrayPopFront(arrayDifference(arrayCompact(groupArraySortedMerge(8)(recent_reports)))) AS gaps,
    if(notEmpty(gaps), arrayReduce('median', gaps), (last_ms - first_ms) / (events - 1)) AS gap_ms,
    if(gap_ms > 0 AND isFinite(gap_ms), gap_ms / 1000, NULL) AS interval_seconds,
    if(gap_ms > 0 AND isFinite(gap_ms), toFloat64(gap_ms), ${unknownIntervalMs}.0) AS usual_ms,
    toUInt32(least(${silentAfterMaxMs}, ${slackMs} + if(
      length(gaps) >= 3,
      least(2 * usual_ms, greatest(usual_ms, toFloat64(arrayElement(arrayReverseSort(gaps), 2)))),
      2 * usual_ms))) AS silent_after_ms,
    toUnixTimestamp64Milli(min(first_seen)) AS first_ms,
    toUnixTimestamp64Milli(max(last_seen)) AS last_ms,
    sum(event_count) AS events,
    toUnixTimestamp64Milli(min(first_received)) AS first_heard_ms,
    if(toUnixTimestamp64Milli(max(last_received)) > 0, toUnixTimestamp64Milli(max(last_received)), last_ms) AS heard_ms,
    argMaxMerge(newest_metadata) AS metadata_text${extra}
  FROM devices
  ${where}
  GROUP BY device_id`;

/** Of `fleetDevices`: 1 when the device is silent, as far as everything received before {complete:Int64} is stored. */
export const isSilent = "{complete:Int64} - heard_ms > silent_after_ms";
