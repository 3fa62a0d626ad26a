import type { Device, Devices } from "../../../../contract/read.ts";
import type { ApiFailure, ApiResult, Query } from "../../api/api.ts";

export interface DeviceListDeps {
  askPage(query: Query, signal: AbortSignal): Promise<ApiResult<Devices>>;
  /** One device, whatever list it belongs to now. */
  askDevice(id: string, signal: AbortSignal): Promise<ApiResult<Device>>;
  /** Called after every change. */
  changed(): void;
}

export interface DeviceFilter {
  search: string;
  status: "" | Device["status"];
  /** A field, with `-` in front for descending. */
  sort: string;
  /** `meta.KEY` → value. */
  meta: Readonly<Record<string, string>>;
}

export interface DeviceList {
  readonly devices: readonly Device[];
  /** Devices that match, loaded or not; undefined before the first answer. */
  readonly total: number | undefined;
  /** There is more to load. */
  readonly more: boolean;
  readonly failure: ApiFailure | undefined;
  readonly loading: boolean;
  /** Rows that would come, go or move if the list were put in order now. */
  readonly pendingChanges: number;
  /** Loads the next page; does nothing while one is being loaded or at the end. */
  loadMore(): Promise<void>;
  /**
   * Asks again for what is on the screen. `held`: rows must stay where they are, because someone points at them; then only
   * their figures change, and what has changed beside them is counted.
   */
  refresh(firstRow: number, lastRow: number, held: boolean): Promise<void>;
  /** Puts the list in the order that the last refresh found. */
  applyChanges(): void;
  stop(): void;
}

/** Small first, to be on the screen at once; large after it, so that a long scroll asks seldom. */
const firstPageSize = 100;
const pageSize = 1_000;
/** More rows than anybody scrolls; beyond it, search. Some 40 MB of memory. */
export const deviceRowsMax = 200_000;
/** A refresh reads the list anew down to here; below, only the rows on the screen. */
const freshRowsMax = 3_000;
const aheadRows = 50;
/** Rows that have left their page, re-read one by one in a refresh. */
const rereadMax = 40;

interface Row {
  device: Device;
  /** Of the page that it came with. */
  cursor: string | undefined;
}

interface Fresh {
  rows: Row[];
  next: string | null | undefined;
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

/** Cursor pages as one growing list that follows the fleet: a device that no longer matches leaves, a new one appears. */
export function makeDeviceList(deps: DeviceListDeps, filter: DeviceFilter): DeviceList {
  const control = new AbortController();
  const { signal } = control;
  let rows: Row[] = [];
  let devices: Device[] = [];
  let next: string | null | undefined;
  let total: number | undefined;
  let failure: ApiFailure | undefined;
  let loading = false;
  let refreshing = false;
  let staged: Fresh | undefined;
  let pendingChanges = 0;

  const setRows = (all: Row[]): void => {
    rows = all;
    devices = all.map((row) => row.device);
  };
  const ask = async (cursor: string | undefined, limit: number): Promise<Devices | undefined> => {
    const { search, status, sort, meta } = filter;
    const answer = await deps.askPage({ ...meta, search, status, sort, limit: String(limit), cursor }, signal);
    if (signal.aborted) return undefined;
    failure = answer.ok ? undefined : answer;
    if (!answer.ok) return undefined;
    total = answer.data.total;
    return answer.data;
  };

  const readFresh = async (depth: number): Promise<Fresh | undefined> => {
    const fresh: Row[] = [];
    const ids = new Set<string>();
    let cursor: string | null | undefined;
    do {
      const from: string | undefined = cursor ?? undefined;
      const answer = await ask(from, Math.min(pageSize, Math.max(firstPageSize, depth - fresh.length)));
      if (!answer) return undefined;
      for (const device of answer.devices) {
        if (ids.has(device.device_id)) continue;
        ids.add(device.device_id);
        fresh.push({ device, cursor: from });
      }
      cursor = answer.cursor;
    } while (cursor !== null && fresh.length < depth);
    return { rows: fresh, next: cursor };
  };

  /** The fresh beginning, and of what was loaded below it whatever is not in it. */
  const joined = ({ rows: fresh, next: freshNext }: Fresh): Row[] => {
    if (freshNext === null || fresh.length >= rows.length) {
      next = freshNext;
      return fresh;
    }
    const ids = new Set(fresh.map((row) => row.device.device_id));
    // Without a status nobody leaves the list: who is not in the beginning any more has moved down.
    const below = filter.status === "" ? rows : rows.slice(fresh.length);
    return [...fresh, ...below.filter((row) => !ids.has(row.device.device_id))];
  };

  const updateFigures = (known: ReadonlyMap<string, Device>): void =>
    setRows(
      rows.map((row) => {
        const device = known.get(row.device.device_id);
        return device ? { ...row, device } : row;
      }),
    );
  /** Rows on the screen that their page has lost: the device is back, say, and its row must not go on saying Silent. */
  const reread = async (firstRow: number, lastRow: number, known: ReadonlySet<string>): Promise<void> => {
    const lost = rows.slice(firstRow, lastRow + 1).filter((row) => !known.has(row.device.device_id));
    const answers = await Promise.all(
      lost.slice(0, rereadMax).map(async (row) => deps.askDevice(row.device.device_id, signal)),
    );
    if (signal.aborted) return;
    updateFigures(new Map(answers.flatMap((answer) => (answer.ok ? [[answer.data.device_id, answer.data]] : []))));
  };

  const refreshTop = async (firstRow: number, lastRow: number, held: boolean): Promise<void> => {
    const fresh = await readFresh(lastRow + 1 + aheadRows);
    if (!fresh) return;
    if (!held) {
      staged = undefined;
      pendingChanges = 0;
      setRows(joined(fresh));
      return;
    }
    staged = fresh;
    const known = new Map(fresh.rows.map(({ device }) => [device.device_id, device]));
    updateFigures(known);
    pendingChanges = countChanges(
      rows.map((row) => row.device.device_id),
      [...known.keys()],
      fresh.next === null,
    );
    await reread(firstRow, lastRow, new Set(known.keys()));
  };

  const refreshDeep = async (firstRow: number, lastRow: number, held: boolean): Promise<void> => {
    const cursors = new Set(rows.slice(firstRow, lastRow + 1).map((row) => row.cursor));
    const known = new Map<string, Device>();
    for (const cursor of cursors) {
      const answer = await ask(cursor, pageSize);
      if (!answer) return;
      for (const device of answer.devices) known.set(device.device_id, device);
    }
    updateFigures(known);
    await reread(firstRow, lastRow, new Set(known.keys()));
    if (!held && filter.status !== "") setRows(rows.filter((row) => row.device.status === filter.status));
  };

  return {
    get devices() {
      return devices;
    },
    get total() {
      return total;
    },
    get more() {
      return next !== null && rows.length < deviceRowsMax;
    },
    get failure() {
      return failure;
    },
    get loading() {
      return loading;
    },
    get pendingChanges() {
      return pendingChanges;
    },
    async loadMore() {
      if (loading || next === null || rows.length >= deviceRowsMax) return;
      loading = true;
      const cursor = next;
      const answer = await ask(cursor, rows.length === 0 ? firstPageSize : pageSize);
      loading = false;
      if (signal.aborted) return;
      if (answer) {
        // In an order that moves, like last seen, a device can come again on a later page; it keeps its first row.
        const ids = new Set(rows.map((row) => row.device.device_id));
        const more = answer.devices.filter((device) => !ids.has(device.device_id));
        setRows([...rows, ...more.map((device) => ({ device, cursor }))]);
        next = answer.cursor;
      }
      deps.changed();
    },
    async refresh(firstRow, lastRow, held) {
      if (refreshing || loading) return;
      refreshing = true;
      if (lastRow + aheadRows < freshRowsMax) await refreshTop(firstRow, lastRow, held);
      else await refreshDeep(firstRow, lastRow, held);
      refreshing = false;
      if (!signal.aborted) deps.changed();
    },
    applyChanges() {
      if (!staged) return;
      setRows(joined(staged));
      staged = undefined;
      pendingChanges = 0;
      deps.changed();
    },
    stop: () => control.abort(),
  };
}
