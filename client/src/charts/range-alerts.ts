import { type Accessor, createMemo } from "solid-js";
import type { AlertHistory } from "../../../contract/alerts.ts";
import { createQuery, notAsked } from "../api/query.ts";
import { useApp } from "../app/context.tsx";
import type { TimeRangeState } from "../app/time-range-state.ts";
import { type AlertMark, alertMarks } from "./alert-marks.ts";

const everyMs = 30_000;
const transitionsMax = 1_000;

interface RangeAlertsOptions {
  /** Alerts of this device; undefined or empty: all. */
  deviceId?: Accessor<string>;
  /** Nothing is marked: which alerts belong to what the page shows is not known. */
  off?: Accessor<boolean>;
}

/** The alerts that fired in a range, as marks for its charts. The stream says when they have changed. Under a Solid owner. */
export function createRangeAlerts(range: TimeRangeState, options: RangeAlertsOptions = {}): Accessor<AlertMark[]> {
  const { api, live } = useApp();
  const device = (): string => options.deviceId?.() ?? "";
  const source = createMemo(() => ({ device: device(), spec: range.spec(), alerts: live.alerts() }));
  const history = createQuery<ReturnType<typeof source>, AlertHistory>(
    source,
    async ({ device: device_id, alerts }, signal) => {
      // Until the service has told what fires, charts are drawn without; a shared link is never told.
      if (!alerts || options.off?.()) return notAsked;
      const { fromMs, toMs } = range.bounds();
      return api.get(
        "/api/alerts/history",
        {
          from: new Date(fromMs).toISOString(),
          to: new Date(toMs).toISOString(),
          device_id: device_id === "" ? undefined : device_id,
          limit: String(transitionsMax),
        },
        signal,
      );
    },
    { everyMs: () => (range.moving() ? everyMs : undefined) },
  );
  return createMemo<AlertMark[]>(
    () => {
      if (options.off?.()) return [];
      const firing = live.alerts()?.firing ?? [];
      const ofDevice = device() === "" ? firing : firing.filter((alert) => alert.device_id === device());
      return alertMarks(history.data()?.transitions ?? [], ofDevice);
    },
    [],
    { equals: (a, b) => JSON.stringify(a) === JSON.stringify(b) },
  );
}
