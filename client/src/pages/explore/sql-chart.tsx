import { createEffect, type JSX, on, onCleanup } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { chartInk } from "../../charts/ink.ts";
import { dashes, seriesColor } from "../../charts/palette.ts";
import { makeTimeChart, type TimeChart } from "../../charts/time-chart.ts";
import { formatCompact } from "../../ui/format.ts";
import type { SqlSeries } from "./sql-result.ts";

/** The numbers of a result over its time. */
export function SqlChart(props: { series: SqlSeries }): JSX.Element {
  const { preferences } = useApp();
  let host!: HTMLDivElement;
  let chart: TimeChart | undefined;
  createEffect(
    on([preferences.dark, preferences.zone], ([dark, zone]) => {
      chart?.stop();
      const { seconds, lines } = props.series;
      chart = makeTimeChart(host, {
        series: lines.map(({ name }, slot) => ({
          label: name,
          color: seriesColor(slot, dark),
          dash: dashes[slot] ?? [],
        })),
        zone,
        zeroBased: false,
        formatY: formatCompact,
        ink: chartInk(host),
      });
      chart.setData([seconds, ...lines.map(({ values }) => values)], seconds[0] ?? 0, seconds.at(-1) ?? 1);
    }),
  );
  onCleanup(() => chart?.stop());
  return (
    <div class="chart sql-chart" role="img" aria-label="The result over time; the table has the numbers">
      <div class="chart-host" ref={host} />
    </div>
  );
}
