import type { Device } from "../../../../contract/read.ts";

export interface Row {
  device: Device;
  /** Of the page that it came with. */
  cursor: string | undefined;
}

/** The beginning of a list as it is now. */
export interface Fresh {
  rows: Row[];
  /** The cursor behind them; null: they are all there are. */
  next: string | null | undefined;
}

export const idOf = (row: Row): string => row.device.device_id;

/**
 * The fresh beginning, and of what was loaded below it whatever is not in it. `anyStatus`: nobody leaves the list, so who is not in
 * the beginning any more has moved down.
 */
export function joinFresh(rows: readonly Row[], fresh: readonly Row[], anyStatus: boolean): Row[] {
  const ids = new Set(fresh.map(idOf));
  const below = anyStatus ? rows : rows.slice(fresh.length);
  return [...fresh, ...below.filter((row) => !ids.has(idOf(row)))];
}

/** The same rows with what is known of their devices now. A device that was asked for by itself comes without last values. */
export function withFigures(rows: readonly Row[], known: ReadonlyMap<string, Device>): Row[] {
  return rows.map((row) => {
    const device = known.get(idOf(row));
    if (!device) return row;
    const { last_values } = row.device;
    return { ...row, device: last_values === undefined ? device : { last_values, ...device } };
  });
}

/** In an order that moves, like last seen, a device can come again on a later page; it keeps its first row. */
export function withPage(rows: readonly Row[], page: readonly Device[], cursor: string | undefined): Row[] {
  const ids = new Set(rows.map(idOf));
  return [...rows, ...page.filter((device) => !ids.has(device.device_id)).map((device) => ({ device, cursor }))];
}

/**
 * Rows of `shown` that are gone, new ones, and rows in another place. `complete`: `fresh` is the whole list, not its beginning;
 * else what lies past its end is unknown and not counted.
 */
export function countChanges(shown: readonly string[], fresh: readonly string[], complete: boolean): number {
  const freshIds = new Set(fresh);
  const shownIds = new Set(shown);
  const come = fresh.filter((id) => !shownIds.has(id));
  const top = complete ? shown : shown.slice(0, fresh.length - come.length);
  const gone = top.filter((id) => !freshIds.has(id)).length;
  const kept = top.filter((id) => freshIds.has(id));
  const topIds = new Set(top);
  const keptFresh = fresh.filter((id) => topIds.has(id));
  return gone + come.length + kept.filter((id, index) => id !== keptFresh[index]).length;
}
