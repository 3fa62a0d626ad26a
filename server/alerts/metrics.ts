import { Counter, Gauge, type Registry } from "prom-client";
import { severities } from "../../contract/alerts.ts";
import { ReadMetrics } from "../ops/read-metrics.ts";
import type { AlertFigures } from "./center/figures.ts";
import type { LiveAlerts } from "./open-alerts.ts";

type Figure = Exclude<keyof AlertFigures, "firing">;

const gauges = [
  ["sluice_alerts_pending", "Series that wait for their rule's time.", "pending"],
  ["sluice_alert_series", "Series under alert rules.", "series"],
  ["sluice_alert_series_skipped", "Series that no rule watches because the limit is reached.", "skipped"],
  ["sluice_alert_messages_waiting", "Messages that are not delivered yet.", "waiting"],
] as const satisfies readonly (readonly [string, string, Figure])[];
const counters = [
  ["sluice_alert_messages_delivered_total", "Messages that a channel has taken.", "delivered"],
  ["sluice_alert_messages_dropped_total", "Messages given up.", "dropped"],
  ["sluice_alert_transitions_unrecorded_total", "Transitions left out of the history.", "unrecorded"],
] as const satisfies readonly (readonly [string, string, Figure])[];

/** What /metrics says of the alerts. Read when asked. */
export function addAlertMetrics(registry: Registry, alerts: Pick<LiveAlerts, "figures" | "isDeciding">): void {
  const registers = [registry];
  const metrics = new ReadMetrics(registry);
  metrics.gauge("sluice_alerts_deciding", "1: this instance decides on alerts. Of several instances one does.", () =>
    alerts.isDeciding() ? 1 : 0,
  );
  new Gauge({
    name: "sluice_alerts_firing",
    help: "Alarms that fire, recover or are stale.",
    labelNames: ["severity"],
    registers,
    collect() {
      const { firing } = alerts.figures();
      for (const severity of severities) this.set({ severity }, firing[severity]);
    },
  });
  for (const [name, help, figure] of gauges) metrics.gauge(name, help, () => alerts.figures()[figure]);
  for (const [name, help, figure] of counters) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(alerts.figures()[figure]);
      },
    });
  }
}
