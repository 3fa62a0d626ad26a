import { type Accessor, createMemo } from "solid-js";
import { encodeDeviceSegment } from "../../../../contract/device-path.ts";
import type { StoredEvent } from "../../../../contract/event.ts";
import type { Change } from "../../../../contract/fleet.ts";
import type { DeviceDetail, Events, History } from "../../../../contract/read.ts";
import { createQuery, notAsked, type Query } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import type { TimeRangeState } from "../../app/time-range-state.ts";
import type { AlertMark } from "../../charts/alert-marks.ts";
import { askHistory, refreshMs } from "../../charts/ask-history.ts";
import { fittedFromMs } from "../../charts/fitted-range.ts";
import { createRangeAlerts } from "../../charts/range-alerts.ts";
import type { TimeSpan } from "../../charts/time-chart.ts";
import { mergeChanges } from "../../live/changes-feed.ts";
import { type Unit, unitOf } from "../../ui/units.ts";
import { silentSpans } from "./silent-spans.ts";

/** Of a device's types, as many as one answer of the history has room for. */
export const numericMax = 50;
/** Each text type is a request of its own. */
export const textMax = 8;
const textEventsMax = 1_000;
const changesMax = 200;

type TypeDetail = DeviceDetail["event_types"][number];

export interface DeviceData {
  detail: Query<DeviceDetail>;
  /** By name, so that a refresh never changes their order: those with numbers, and those with nothing but texts. */
  numeric: Accessor<string[]>;
  texts: Accessor<string[]>;
  typeOf(name: string): TypeDetail | undefined;
  unitOf(type: string): Unit;
  history: Query<History>;
  textEvents: Query<Record<string, Events>>;
  changes: Accessor<Change[]>;
  silent: Accessor<TimeSpan[]>;
  /** When its alerts fired. */
  alerts: Accessor<AlertMark[]>;
  /** Of the charts, epoch seconds. */
  bounds: Accessor<{ fromSecond: number; toSecond: number }>;
  stored: Query<Events>;
}

const sameNames = { equals: (a: string[], b: string[]) => a.join("\n") === b.join("\n") };

/** Everything that is stored of one device, over a range. Under a Solid owner. */
export function createDeviceData(id: string, range: TimeRangeState): DeviceData {
  const { api, live } = useApp();
  const everyMs = (): number | undefined => (range.moving() ? refreshMs(range.spanMs()) : undefined);
  const detail = createQuery(
    () => id,
    (device, signal) => api.get(`/api/devices/${encodeDeviceSegment(device)}`, {}, signal),
    { everyMs: 2_000 },
  );
  const typeNames = (isNumeric: boolean): string[] =>
    (detail.data()?.event_types ?? [])
      .filter((type) => isNumeric === (type.last_value_float !== null || type.last_value_string === null))
      .map((type) => type.event_type)
      .sort();
  const numeric = createMemo(() => typeNames(true), [], sameNames);
  const texts = createMemo(() => typeNames(false), [], sameNames);

  const history = createQuery(
    createMemo(() => ({ types: numeric().slice(0, numericMax), spec: range.spec() })),
    async ({ types }, signal) =>
      types.length === 0
        ? notAsked
        : askHistory(api, range.bounds(), { device_id: id, event_type: types, limit: String(numericMax) }, signal),
    { everyMs },
  );
  const textEvents = createQuery<{ types: string[] }, Record<string, Events>>(
    createMemo(() => ({ types: texts().slice(0, textMax), spec: range.spec() })),
    async ({ types }, signal) => {
      const { fromMs, toMs } = range.bounds();
      const span = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
      const all: Record<string, Events> = {};
      for (const type of types) {
        const query = { ...span, device_id: id, event_type: type, limit: String(textEventsMax) };
        const answer = await api.get("/api/events", query, signal);
        if (!answer.ok) return answer;
        all[type] = answer.data;
      }
      return { ok: true, data: all };
    },
    { everyMs },
  );
  const storedChanges = createQuery(
    range.spec,
    (_, signal) => {
      const from = new Date(range.bounds().fromMs).toISOString();
      return api.get("/api/changes", { device_id: id, from, limit: String(changesMax) }, signal);
    },
    { everyMs: 10_000 },
  );
  const changes = createMemo(() => {
    const ofStream = live.changes().filter((change) => change.device_id === id);
    return mergeChanges(storedChanges.data()?.changes ?? [], ofStream);
  });
  const bounds = createMemo(() => {
    const data = history.data();
    const { fromMs, toMs } = data ? { fromMs: Date.parse(data.from), toMs: Date.parse(data.to) } : range.bounds();
    const firstMs = Date.parse(detail.data()?.first_seen ?? "");
    return { fromSecond: fittedFromMs(fromMs, toMs, firstMs, range.own()) / 1000, toSecond: toMs / 1000 };
  });
  const silent = createMemo(() => {
    const device = detail.data();
    if (!device) return [];
    return silentSpans(device, changes(), bounds().fromSecond * 1000, bounds().toSecond * 1000);
  });
  // The newest stored events fill the tail until live ones have come, and say the units of their types.
  const stored = createQuery(
    () => id,
    (device, signal) => api.get("/api/events", { device_id: device, limit: "100" }, signal),
  );
  const unitNames = createMemo(() => unitsOf(stored.data()?.events ?? []));
  return {
    detail,
    numeric,
    texts,
    typeOf: (name) => detail.data()?.event_types.find((type) => type.event_type === name),
    unitOf: (type) => unitOf(type, unitNames().get(type)),
    history,
    textEvents,
    changes,
    silent,
    alerts: createRangeAlerts(range, { deviceId: () => id }),
    bounds,
    stored,
  };
}

function unitsOf(events: readonly StoredEvent[]): Map<string, string> {
  const units = new Map<string, string>();
  for (const { event_type, metadata } of events) {
    if (metadata.unit !== undefined && !units.has(event_type)) units.set(event_type, metadata.unit);
  }
  return units;
}
