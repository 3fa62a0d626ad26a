import type { Device, Devices } from "../../../../contract/read.ts";
import type { ApiFailure, ApiResult, Query } from "../../api/api.ts";

export type AskDevices = (query: Query, signal: AbortSignal) => Promise<ApiResult<Devices>>;

export interface DeviceFilter {
  search: string;
  status: "" | Device["status"];
  /** A field, with `-` in front for descending. */
  sort: string;
}

export interface DevicePages {
  readonly devices: readonly Device[];
  /** Devices that match, loaded or not; undefined before the first answer. */
  readonly total: number | undefined;
  /** There is more to load. */
  readonly more: boolean;
  readonly failure: ApiFailure | undefined;
  readonly loading: boolean;
  /** Loads the next page; does nothing while one is being loaded or at the end. */
  loadMore(): Promise<void>;
  /** Asks again for the pages that hold these rows. */
  refresh(firstRow: number, lastRow: number): Promise<void>;
  stop(): void;
}

/** Small first, to be on the screen at once; large after it, so that a long scroll asks seldom. */
const firstPageSize = 100;
const pageSize = 1_000;
/** More rows than anybody scrolls; beyond it, search. Some 40 MB of memory. */
export const deviceRowsMax = 200_000;

interface Page {
  cursor: string | undefined;
  limit: number;
  start: number;
  count: number;
}

/**
 * Cursor pages as one growing list. A refresh keeps rows where they are and only replaces their figures, because a row
 * that moves under the pointer cannot be clicked. `changed` is called after every change.
 */
export function makeDevicePages(askDevices: AskDevices, filter: DeviceFilter, changed: () => void): DevicePages {
  const control = new AbortController();
  const devices: Device[] = [];
  const pages: Page[] = [];
  /** In an order that moves, like last seen, a device can come again on a later page; it keeps its first row. */
  const ids = new Set<string>();
  const append = (more: readonly Device[]): number => {
    const fresh = more.filter((device) => !ids.has(device.device_id));
    for (const device of fresh) {
      ids.add(device.device_id);
      devices.push(device);
    }
    return fresh.length;
  };
  let next: string | null | undefined;
  let total: number | undefined;
  let failure: ApiFailure | undefined;
  let loading = false;
  let refreshing = false;

  const ask = async (cursor: string | undefined, limit: number): Promise<Devices | undefined> => {
    const answer = await askDevices({ ...filter, limit: String(limit), cursor }, control.signal);
    if (control.signal.aborted) return undefined;
    if (!answer.ok) {
      failure = answer;
      return undefined;
    }
    failure = undefined;
    total = answer.data.total;
    return answer.data;
  };

  return {
    devices,
    get total() {
      return total;
    },
    get more() {
      return next !== null && devices.length < deviceRowsMax;
    },
    get failure() {
      return failure;
    },
    get loading() {
      return loading;
    },
    async loadMore() {
      if (loading || next === null || devices.length >= deviceRowsMax) return;
      loading = true;
      const limit = pages.length === 0 ? firstPageSize : pageSize;
      const cursor = next;
      const answer = await ask(cursor, limit);
      loading = false;
      if (control.signal.aborted) return;
      if (answer) {
        const start = devices.length;
        pages.push({ cursor, limit, start, count: append(answer.devices) });
        next = answer.cursor;
      }
      changed();
    },
    async refresh(firstRow, lastRow) {
      if (refreshing || loading) return;
      refreshing = true;
      const lastPage = pages.at(-1);
      const shown = pages.filter(
        (page) =>
          page.start <= lastRow && (page.start + page.count > firstRow || (page === lastPage && page.count === 0)),
      );
      for (const page of shown) {
        const answer = await ask(page.cursor, page.limit);
        if (!answer) break;
        const fresh = new Map(answer.devices.map((device) => [device.device_id, device]));
        for (let row = page.start; row < page.start + page.count; row++) {
          const { device_id } = devices[row]!;
          const known = fresh.get(device_id);
          if (known) devices[row] = known;
          fresh.delete(device_id);
        }
        // The list's end is open: devices that came since join there.
        if (page === lastPage && page === pages.at(-1)) {
          page.count += append([...fresh.values()]);
          next = answer.cursor;
        }
      }
      refreshing = false;
      if (!control.signal.aborted) changed();
    },
    stop: () => control.abort(),
  };
}
