import type { Device, Devices } from "../../../../contract/read.ts";
import type { ApiFailure, ApiResult, Query } from "../../api/api.ts";
import type { Fresh, Row } from "./device-rows.ts";

export interface DevicePagesDeps {
  askPage(query: Query, signal: AbortSignal): Promise<ApiResult<Devices>>;
  /** One device, whatever list it belongs to now. */
  askDevice(id: string, signal: AbortSignal): Promise<ApiResult<Device>>;
}

export interface DeviceFilter {
  search: string;
  status: "" | Device["status"];
  /** A field, with `-` in front for descending. */
  sort: string;
  /** `meta.KEY` → value. */
  meta: Readonly<Record<string, string>>;
  /** Event types whose last values are wanted. */
  last: readonly string[];
}

/** Small first, to be on the screen at once; large after it, so that a long scroll asks seldom. */
export const firstPageSize = 100;
export const pageSize = 1_000;
/** Rows that have left their page, re-read one by one in a refresh. */
const rereadMax = 40;

/** Asks for what a list consists of; gives undefined once it is stopped, or on a failure, which stays to be shown. */
export interface DevicePages {
  /** Of the last page asked for; undefined after a good one. */
  readonly failure: ApiFailure | undefined;
  /** Devices that match; undefined before the first answer. */
  readonly total: number | undefined;
  page(cursor: string | undefined, limit: number): Promise<Devices | undefined>;
  /** The beginning of the list, at least so many rows of it. */
  beginning(depth: number): Promise<Fresh | undefined>;
  /** Devices by themselves, whatever list they belong to now; at most some dozens of them. */
  each(rows: readonly Row[]): Promise<Map<string, Device>>;
}

export function makeDevicePages(deps: DevicePagesDeps, filter: DeviceFilter, signal: AbortSignal): DevicePages {
  let failure: ApiFailure | undefined;
  let total: number | undefined;
  const { meta, ...rest } = filter;

  const page = async (cursor: string | undefined, limit: number): Promise<Devices | undefined> => {
    const answer = await deps.askPage({ ...meta, ...rest, limit: String(limit), cursor }, signal);
    if (signal.aborted) return undefined;
    failure = answer.ok ? undefined : answer;
    if (!answer.ok) return undefined;
    total = answer.data.total;
    return answer.data;
  };

  return {
    get failure() {
      return failure;
    },
    get total() {
      return total;
    },
    page,
    async beginning(depth) {
      const rows: Row[] = [];
      const ids = new Set<string>();
      let cursor: string | null | undefined;
      do {
        const from: string | undefined = cursor ?? undefined;
        const answer = await page(from, Math.min(pageSize, Math.max(firstPageSize, depth - rows.length)));
        if (!answer) return undefined;
        for (const device of answer.devices) {
          if (ids.has(device.device_id)) continue;
          ids.add(device.device_id);
          rows.push({ device, cursor: from });
        }
        cursor = answer.cursor;
      } while (cursor !== null && rows.length < depth);
      return { rows, next: cursor };
    },
    async each(rows) {
      const answers = await Promise.all(
        rows.slice(0, rereadMax).map(async (row) => deps.askDevice(row.device.device_id, signal)),
      );
      return new Map(answers.flatMap((answer) => (answer.ok ? [[answer.data.device_id, answer.data]] : [])));
    },
  };
}
