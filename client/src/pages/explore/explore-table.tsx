import { createMemo, For, type JSX, Show } from "solid-js";
import { Swatch } from "../../charts/swatch.tsx";
import { formatCount, formatRate } from "../../ui/format.ts";
import { type Line, seriesName, summaryOf } from "./explore-series.ts";
import type { ExploreAnswer } from "./explore-state.ts";
import type { Metric } from "./explore-view.ts";

/** Each line of the charts in numbers. */
export function ExploreTable(props: { answer: ExploreAnswer; lines: readonly Line[]; metric: Metric }): JSX.Element {
  return (
    <section class="table-scroll" tabindex="0" aria-label="Summary, scrolls sideways">
      <table>
        <caption class="visually-hidden">Each line of the charts in numbers</caption>
        <thead>
          <tr>
            <th scope="col">Series</th>
            <For each={["Events", "Lowest", "Mean", "Highest", "Last"]}>
              {(title) => (
                <th scope="col" class="num">
                  {title}
                </th>
              )}
            </For>
            <Show when={props.answer.before}>
              <th scope="col" class="num">
                Mean before
              </th>
            </Show>
          </tr>
        </thead>
        <tbody>
          <For each={props.lines}>{(line) => <Row answer={props.answer} line={line} metric={props.metric} />}</For>
        </tbody>
      </table>
    </section>
  );
}

function Row(props: { answer: ExploreAnswer; line: Line; metric: Metric }): JSX.Element {
  const stats = createMemo(() => summaryOf(props.answer.now, props.line.series.points, props.metric));
  const before = createMemo(() => {
    const history = props.answer.before;
    const points = history?.series.find((one) => seriesName(one) === props.line.name)?.points ?? [];
    return history ? summaryOf(history, points, props.metric).mean : null;
  });
  const text = (value: number | null): string =>
    props.metric === "rate" ? formatRate(value) : props.line.unit.format(value);
  return (
    <tr>
      <th scope="row">
        <span class="type-name">
          <Swatch slot={props.line.slot} />
          <span>{props.line.name}</span>
        </span>
      </th>
      <td class="num">{formatCount(stats().count)}</td>
      <td class="num">{text(stats().low)}</td>
      <td class="num">{text(stats().mean)}</td>
      <td class="num">{text(stats().high)}</td>
      <td class="num">{text(stats().last)}</td>
      <Show when={props.answer.before}>
        <td class="num">{text(before())}</td>
      </Show>
    </tr>
  );
}
