import type { Device } from "../../../../contract/read.ts";
import type { ApiFailure } from "../../api/api.ts";
import { type DeviceFilter, type DevicePagesDeps, firstPageSize, makeDevicePages, pageSize } from "./device-pages.ts";
import { countChanges, type Fresh, idOf, joinFresh, type Row, withFigures, withPage } from "./device-rows.ts";

export interface DeviceListDeps extends DevicePagesDeps {
  /** Called after every change. */
  changed(): void;
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

/** More rows than anybody scrolls; beyond it, search. Some 40 MB of memory. */
export const deviceRowsMax = 200_000;
/** A refresh reads the list anew down to here; below, only the rows on the screen. */
const freshRowsMax = 3_000;
const aheadRows = 50;

/** Cursor pages as one growing list that follows the fleet: a device that no longer matches leaves, a new one appears. */
export function makeDeviceList(deps: DeviceListDeps, filter: DeviceFilter): DeviceList {
  return new GrowingDeviceList(deps, filter);
}

class GrowingDeviceList implements DeviceList {
  readonly #deps: DeviceListDeps;
  readonly #filter: DeviceFilter;
  readonly #control = new AbortController();
  readonly #pages;
  #rows: Row[] = [];
  #devices: Device[] = [];
  #next: string | null | undefined;
  #loading = false;
  #refreshing = false;
  /** What the last refresh found while the rows had to stay where they were. */
  #staged: Fresh | undefined;
  #pendingChanges = 0;

  constructor(deps: DeviceListDeps, filter: DeviceFilter) {
    this.#deps = deps;
    this.#filter = filter;
    this.#pages = makeDevicePages(deps, filter, this.#control.signal);
  }

  get devices(): readonly Device[] {
    return this.#devices;
  }
  get total(): number | undefined {
    return this.#pages.total;
  }
  get more(): boolean {
    return this.#next !== null && this.#rows.length < deviceRowsMax;
  }
  get failure(): ApiFailure | undefined {
    return this.#pages.failure;
  }
  get loading(): boolean {
    return this.#loading;
  }
  get pendingChanges(): number {
    return this.#pendingChanges;
  }

  async loadMore(): Promise<void> {
    if (this.#loading || !this.more) return;
    this.#loading = true;
    const cursor = this.#next ?? undefined;
    const answer = await this.#pages.page(cursor, this.#rows.length === 0 ? firstPageSize : pageSize);
    this.#loading = false;
    if (this.#control.signal.aborted) return;
    if (answer) {
      this.#setRows(withPage(this.#rows, answer.devices, cursor));
      this.#next = answer.cursor;
    }
    this.#deps.changed();
  }

  async refresh(firstRow: number, lastRow: number, held: boolean): Promise<void> {
    if (this.#refreshing || this.#loading) return;
    this.#refreshing = true;
    if (lastRow + aheadRows < freshRowsMax) await this.#refreshTop(firstRow, lastRow, held);
    else await this.#refreshDeep(firstRow, lastRow, held);
    this.#refreshing = false;
    if (!this.#control.signal.aborted) this.#deps.changed();
  }

  applyChanges(): void {
    if (!this.#staged) return;
    this.#join(this.#staged);
    this.#deps.changed();
  }

  stop(): void {
    this.#control.abort();
  }

  #setRows(rows: Row[]): void {
    this.#rows = rows;
    this.#devices = rows.map((row) => row.device);
  }

  #join({ rows: fresh, next }: Fresh): void {
    this.#staged = undefined;
    this.#pendingChanges = 0;
    if (next === null || fresh.length >= this.#rows.length) {
      this.#next = next;
      this.#setRows(fresh);
    } else this.#setRows(joinFresh(this.#rows, fresh, this.#filter.status === ""));
  }

  async #refreshTop(firstRow: number, lastRow: number, held: boolean): Promise<void> {
    const fresh = await this.#pages.beginning(lastRow + 1 + aheadRows);
    if (!fresh) return;
    if (!held) {
      this.#join(fresh);
      return;
    }
    this.#staged = fresh;
    const known = new Map(fresh.rows.map((row) => [idOf(row), row.device]));
    this.#setRows(withFigures(this.#rows, known));
    this.#pendingChanges = countChanges(this.#rows.map(idOf), [...known.keys()], fresh.next === null);
    await this.#reread(firstRow, lastRow, known);
  }

  async #refreshDeep(firstRow: number, lastRow: number, held: boolean): Promise<void> {
    const cursors = new Set(this.#rows.slice(firstRow, lastRow + 1).map((row) => row.cursor));
    const known = new Map<string, Device>();
    for (const cursor of cursors) {
      const answer = await this.#pages.page(cursor, pageSize);
      if (!answer) return;
      for (const device of answer.devices) known.set(device.device_id, device);
    }
    this.#setRows(withFigures(this.#rows, known));
    await this.#reread(firstRow, lastRow, known);
    const { status } = this.#filter;
    if (!held && status !== "") this.#setRows(this.#rows.filter((row) => row.device.status === status));
  }

  /** Rows on the screen that their page has lost: the device is back, say, and its row must not go on saying Silent. */
  async #reread(firstRow: number, lastRow: number, known: ReadonlyMap<string, Device>): Promise<void> {
    const lost = this.#rows.slice(firstRow, lastRow + 1).filter((row) => !known.has(idOf(row)));
    const found = await this.#pages.each(lost);
    if (!this.#control.signal.aborted) this.#setRows(withFigures(this.#rows, found));
  }
}
