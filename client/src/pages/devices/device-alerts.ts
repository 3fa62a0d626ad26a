import { createMemo } from "solid-js";
import { type Alert, type Alerts, alertLimits, type Severity } from "../../../../contract/alerts.ts";
import { createQuery, notAsked } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";

export interface DeviceAlerts {
  severity: Severity;
  /** For who points at it. */
  words: string;
}

const rank: Record<Severity, number> = { info: 0, warning: 1, critical: 2 };

/** What fires for each device. The stream tells the worst of all; where that is not all, the rest is read. Under a Solid owner. */
export function createDeviceAlerts(): (deviceId: string) => DeviceAlerts | undefined {
  const { api, live } = useApp();
  const more = createQuery<ReturnType<typeof live.alerts>, Alerts>(
    () => live.alerts(),
    async (alerts, signal) =>
      alerts && alerts.total > alerts.firing.length
        ? api.get("/api/alerts", { limit: String(alertLimits.pageMax) }, signal)
        : notAsked,
  );
  const byDevice = createMemo(() => {
    const told = live.alerts();
    const firing = told && told.total > told.firing.length ? (more.data()?.alerts ?? told.firing) : told?.firing;
    return Map.groupBy(firing ?? [], (alert) => alert.device_id ?? "");
  });
  return (deviceId) => {
    const alerts = byDevice().get(deviceId);
    const [first, ...others] = alerts ?? [];
    return (
      first && { severity: worstOf(first, others), words: (alerts ?? []).map(({ message }) => message).join("; ") }
    );
  };
}

const worstOf = (first: Alert, others: readonly Alert[]): Severity =>
  others.reduce((worst, { severity }) => (rank[severity] > rank[worst] ? severity : worst), first.severity);
