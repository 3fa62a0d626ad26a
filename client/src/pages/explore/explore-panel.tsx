import { createMemo, createSignal, Index, type JSX, lazy, Show, Suspense } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { afterPaint } from "../../charts/after-paint.ts";
import { createRangeAlerts } from "../../charts/range-alerts.ts";
import { saveFile, saveLink } from "../../ui/csv.ts";
import { formatDuration } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Notice } from "../../ui/notice.tsx";
import { plainUnit } from "../../ui/units.ts";
import { historyCsv } from "./explore-csv.ts";
import { chartsOf, type Line, linesOf, metricSteps, pointsOf, seriesName, textTypes } from "./explore-series.ts";
import { historySql } from "./explore-sql.ts";
import type { ExploreAnswer, ExploreData, ExploreView } from "./explore-state.ts";
import { ExploreTable } from "./explore-table.tsx";
import { metrics } from "./explore-view.ts";

const ExploreCharts = lazy(() => afterPaint().then(() => import("./explore-charts.tsx")));

/** The answer: a chart for each unit over one brush, and the same in numbers. Nothing goes away when a range is empty. */
export function ExplorePanel(props: { view: ExploreView; data: ExploreData }): JSX.Element {
  const { view, data } = props;
  const marks = createRangeAlerts(view.time, { deviceId: view.device, off: view.filter.active });
  const [png, setPng] = createSignal<() => Promise<string>>();
  const lines = createMemo((): Line[] => {
    const answer = data.main.data();
    return answer ? linesOf(answer.now, view.metric()) : [];
  });
  const charts = createMemo(() => {
    const groups = chartsOf(lines());
    // One chart stays when there is nothing to draw, and with it the brush that leads away from there.
    return groups.length === 0 ? [{ unit: plainUnit, lines: [] }] : groups;
  });
  const empty = (): boolean => data.main.data()?.now.series.every(({ points }) => points.length === 0) ?? false;
  const label = (): string => metrics.find((each) => each.value === view.metric())?.label ?? "";
  const seriesFor = (group: { lines: Line[] }) => {
    const answer = data.main.data();
    return answer ? drawn(answer, group.lines, view) : [];
  };
  return (
    <section class="panel explore-panel" aria-labelledby="chart-title">
      <div class="panel-head">
        <h2 id="chart-title">{label()}</h2>
        <Caption view={view} data={data} shown={lines().length} />
        <Downloads view={view} data={data} png={empty() ? undefined : png()} />
      </div>
      <p class="panel-foot">
        Drag over the chart to zoom; the back button undoes it. Drag the window in the small chart below to move through
        time.
        <Show when={marks().length > 0}> Shaded times are those in which alerts were firing.</Show>
      </p>
      <Show when={empty()}>
        <Notice tone="info" title="No events in this range.">
          Choose another range or fewer conditions.
        </Notice>
      </Show>
      <TextNotice view={view} data={data} />
      <Suspense fallback={<ChartsWait />}>
        <Index each={charts()}>
          {(group, index) => (
            <ExploreCharts
              known={data.main.data() !== undefined}
              series={seriesFor(group())}
              zeroBased={view.metric() === "rate"}
              unit={group().unit}
              fromMs={data.main.data()?.fromMs ?? view.time.bounds().fromMs}
              toMs={data.main.data()?.toMs ?? view.time.bounds().toMs}
              brush={index === charts().length - 1 ? brushOf(data) : "none"}
              label={`${label()}${group().unit.label === "" ? "" : ` in ${group().unit.label}`} over time; the table below has the numbers`}
              marks={marks()}
              onZoom={view.time.zoom}
              onReady={(make) => {
                if (index === 0) setPng(() => make);
              }}
            />
          )}
        </Index>
      </Suspense>
      <Show when={data.main.data()}>
        {(answer) => <ExploreTable answer={answer()} lines={lines()} metric={view.metric()} />}
      </Show>
    </section>
  );
}

function drawn(answer: ExploreAnswer, lines: readonly Line[], view: ExploreView) {
  const now = lines.map((line) => pointsOf(answer.now, line, view.metric(), { previous: false, shiftMs: 0 }));
  const { before } = answer;
  if (!before) return now;
  const earlier = lines.flatMap((line) => {
    const series = before.series.find((each) => seriesName(each) === line.name);
    const options = { previous: true, shiftMs: answer.spanMs };
    return series ? [pointsOf(before, { ...line, series }, view.metric(), options)] : [];
  });
  return [...now, ...earlier];
}

/** All events of the surroundings as one curve; undefined until it is known. */
function brushOf(data: ExploreData) {
  const around = data.around.data();
  if (!around) return undefined;
  const { history, bounds } = around;
  const rates = new Map<number, number>();
  for (const series of history.series) {
    for (const { time, count } of metricSteps(history, series.points, "rate")) {
      const x = Date.parse(time);
      rates.set(x, (rates.get(x) ?? 0) + count / history.step_seconds);
    }
  }
  const points = [...rates].sort((a, b) => a[0] - b[0]).map(([x, y]) => ({ x, y }));
  return { points, ...bounds };
}

function Caption(props: { view: ExploreView; data: ExploreData; shown: number }): JSX.Element {
  const total = (): number => props.data.main.data()?.now.series_total ?? props.shown;
  return (
    <span class="panel-note">
      <Show when={props.data.main.data()}>
        {(answer) => (
          <>
            steps of {formatDuration(answer().now.step_seconds)}, from {answer().now.source}
            <Show when={props.view.device()}>, of {props.view.device()}</Show>
            <Show when={total() > props.shown}>
              , the {props.shown} busiest of {total()}
            </Show>
          </>
        )}
      </Show>
    </span>
  );
}

/** A metric of numbers over a type of texts is an empty grid; this says so, and what can be done. */
function TextNotice(props: { view: ExploreView; data: ExploreData }): JSX.Element {
  const texts = (): string[] => {
    const answer = props.data.main.data();
    return answer && props.view.metric() !== "rate" ? textTypes(answer.now) : [];
  };
  return (
    <Show when={texts().length > 0}>
      <Notice
        tone="info"
        title={`${texts().join(", ")} ${texts().length === 1 ? "carries" : "carry"} texts, not numbers.`}
        action={
          <button type="button" class="button" onClick={() => props.view.set({ metric: "rate" })}>
            Show events per second
          </button>
        }
      >
        A device's own page shows its texts over time.
      </Notice>
    </Show>
  );
}

function Downloads(props: {
  view: ExploreView;
  data: ExploreData;
  png: (() => Promise<string>) | undefined;
}): JSX.Element {
  const { api } = useApp();
  const [copied, setCopied] = createSignal(false);
  const fileName = (kind: string): string => {
    const from = new Date(props.view.time.bounds().fromMs).toISOString().slice(0, 16).replaceAll(":", "");
    return `sluice-${props.view.metric()}-${from}.${kind}`;
  };
  const saveCsv = (): void => {
    const answer = props.data.main.data();
    if (answer) saveFile(historyCsv(answer.now), fileName("csv"), "text/csv");
  };
  const copySql = async (): Promise<void> => {
    const answer = props.data.main.data();
    if (!answer) return;
    const options = { types: props.view.types(), device: props.view.device() };
    await navigator.clipboard.writeText(historySql(answer.now, options));
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <div class="button-group push">
      <Show when={api.base === ""}>
        <button type="button" class="button" disabled={!props.data.main.data()} onClick={() => void copySql()}>
          <Icon name="copy" />
          {copied() ? "Copied" : "SQL"}
        </button>
      </Show>
      <button type="button" class="button" disabled={!props.data.main.data()} onClick={saveCsv}>
        <Icon name="download" />
        CSV
      </button>
      <button
        type="button"
        class="button"
        disabled={!props.png}
        onClick={() => void props.png?.().then((url) => saveLink(url, fileName("png")))}
      >
        <Icon name="download" />
        PNG
      </button>
    </div>
  );
}

/** As large as the charts that it stands for: nothing below moves when they come. */
function ChartsWait(): JSX.Element {
  return (
    <>
      <div class="explore-main chart-wait">Opening the charts</div>
      <div class="explore-brush">
        <div class="apex-host" />
      </div>
    </>
  );
}
