import type { JSX } from "solid-js";
import LinesChart from "../../charts/lines-chart.tsx";
import { dashes } from "../../charts/palette.ts";
import { plainUnit } from "../../ui/units.ts";
import type { SqlSeries } from "./sql-result.ts";

/** The numbers of a result over its time. */
export function SqlChart(props: { series: SqlSeries }): JSX.Element {
  return (
    <div class="sql-chart">
      <LinesChart
        lines={props.series.lines.map(({ name }, slot) => ({ name, slot, dash: dashes[slot] ?? [] }))}
        columns={[props.series.seconds, ...props.series.lines.map(({ values }) => values)]}
        fromSecond={props.series.seconds[0] ?? 0}
        toSecond={props.series.seconds.at(-1) ?? 1}
        unit={plainUnit}
        zeroBased={false}
        label="The result over time; the table has the numbers"
      />
    </div>
  );
}
