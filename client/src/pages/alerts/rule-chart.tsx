import { createEffect, type JSX, on, onCleanup } from "solid-js";
import type { Fired, Rule } from "../../../../contract/alerts.ts";
import type { HistoryPoint } from "../../../../contract/read.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { withGaps } from "../../charts/history-steps.ts";
import { chartInk } from "../../charts/ink.ts";
import { seriesColor } from "../../charts/palette.ts";
import { makeTimeChart, type TimeChart } from "../../charts/time-chart.ts";
import { formatCompact, formatValue } from "../../ui/format.ts";

const weekSeconds = 7 * 86_400;

/** The fleet's values of the rule's type over the last week, the threshold, and where the rule would have fired. */
export default function RuleChart(props: { rule: Rule; fired: readonly Fired[] }): JSX.Element {
  const { api, preferences } = useApp();
  let host!: HTMLDivElement;
  let chart: TimeChart | undefined;
  const condition = () => (props.rule.when.kind === "value" ? props.rule.when : undefined);
  const query = createQuery(
    () => condition()?.event_type ?? "",
    (eventType, signal) => {
      const to = Date.now();
      const from = new Date(to - weekSeconds * 1000).toISOString();
      return api.get("/api/history", { event_type: eventType, from, to: new Date(to).toISOString() }, signal);
    },
  );
  const draw = (): void => {
    const series = query.data()?.series[0];
    const when = condition();
    if (!chart || !when || !series) return;
    const steps = withGaps(series.points, query.data()?.step_seconds ?? 3_600);
    const threshold = when.above ?? when.below ?? 0;
    const intervals = props.fired.map(({ from, to }) => [Date.parse(from), to === null ? Date.now() : Date.parse(to)]);
    const fires = (timeMs: number): boolean => intervals.some(([from = 0, to = 0]) => timeMs >= from && timeMs <= to);
    const now = Date.now() / 1000;
    chart.setData(
      [
        steps.map(({ timeMs }) => timeMs / 1000),
        steps.map(({ point }) => figureOf(point, when.measure)),
        steps.map(() => threshold),
        steps.map(({ timeMs }) => (fires(timeMs) ? threshold : null)),
      ],
      now - weekSeconds,
      now,
    );
  };
  createEffect(
    on([preferences.dark, preferences.zone], ([dark, zone]) => {
      chart?.stop();
      chart = makeTimeChart(host, {
        zone,
        zeroBased: false,
        formatY: (value) => (Math.abs(value) >= 10_000 ? formatCompact(value) : formatValue(value)),
        ink: chartInk(host),
      });
      chart.setSeries([
        { label: "fleet", color: seriesColor(0, dark) },
        { label: "threshold", color: seriesColor(1, dark), dash: [7, 3], quiet: true },
        { label: "fires", color: seriesColor(1, dark), width: 5, quiet: true },
      ]);
      draw();
    }),
  );
  createEffect(on([query.data, () => props.fired, () => JSON.stringify(props.rule.when)], draw, { defer: true }));
  onCleanup(() => chart?.stop());
  return (
    <div class="chart rule-chart" role="img" aria-label="The last week">
      <div class="chart-host" ref={host} />
    </div>
  );
}

/** The figure of a step that comes nearest to the rule's measure; a rollup has no latest value and no rate of its own. */
function figureOf(point: HistoryPoint | undefined, measure: string): number | null {
  if (!point) return null;
  if (measure === "min" || measure === "max" || measure === "p50" || measure === "p95" || measure === "p99")
    return point[measure];
  return measure === "count" || measure === "sum" || measure === "rate" ? point.count : point.avg;
}
