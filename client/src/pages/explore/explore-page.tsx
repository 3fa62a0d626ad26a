import "./explore-page.css";
import { createMemo, createSignal, For, type JSX, lazy, Show, Suspense } from "solid-js";
import type { History, HistoryPoint } from "../../../../contract/read.ts";
import type { ApiResult } from "../../api/api.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import type { TimeRange } from "../../app/time-expression.ts";
import { TimePicker } from "../../app/time-picker.tsx";
import { createTimeRange } from "../../app/time-range-state.ts";
import { afterPaint } from "../../charts/after-paint.ts";
import { chartPoints, refreshMs, stepSeconds } from "../../charts/ask-history.ts";
import { withGaps, withSilence } from "../../charts/history-steps.ts";
import { seriesMax } from "../../charts/palette.ts";
import { Swatch } from "../../charts/swatch.tsx";
import { FirstEvent } from "../../ui/first-event.tsx";
import { formatCount, formatDuration, formatRate, formatValue } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Blank, Notice } from "../../ui/notice.tsx";
import type { ExploreSeries } from "./explore-chart.ts";
import { historyCsv } from "./explore-csv.ts";
import { brushPoints, decodeTypes, encodeTypes, type Metric, metrics, surroundings } from "./explore-view.ts";
import { TabChoice } from "./tab-choice.tsx";

const ExploreCharts = lazy(() => afterPaint().then(() => import("./explore-charts.tsx")));

/** Events of the last seconds may not be stored yet. */
const storeLagMs = 3_000;

/** The step that is still filling looks like a sudden fall; a chart that reaches to now leaves it out. */
function withoutUnfinished(history: History, nowMs: number): History {
  const toMs = Math.min(Date.parse(history.to), nowMs - storeLagMs);
  const whole = (point: HistoryPoint): boolean => Date.parse(point.time) + history.step_seconds * 1000 <= toMs;
  return {
    ...history,
    to: new Date(toMs).toISOString(),
    series: history.series.map((each) => ({ ...each, points: each.points.filter(whole) })),
  };
}

function metricValue(point: HistoryPoint, metric: Metric, stepSeconds: number): number | null {
  return metric === "rate" ? point.count / stepSeconds : point[metric];
}

/** The steps that a metric is drawn and summed up over. */
function metricSteps(history: History, points: readonly HistoryPoint[], metric: Metric): readonly HistoryPoint[] {
  if (metric !== "rate") return points;
  return withSilence(points, history.step_seconds, Date.parse(history.from), Date.parse(history.to));
}

export default function ExplorePage(): JSX.Element {
  const { api, router, live, shortcuts } = useApp();
  const serverNow = (): number => Date.now() + live.clockOffsetMs();

  const time = createTimeRange("now-1h");
  const range = time.bounds;
  const metric = (): Metric => metrics.find((each) => each.value === router.param("metric"))?.value ?? "rate";
  const types = createMemo(() => decodeTypes(router.param("types")));
  const device = (): string => router.param("device");
  const compare = (): boolean => router.param("compare") !== "";

  const ask = (wanted: TimeRange, points: number, signal: AbortSignal): Promise<ApiResult<History>> =>
    api.get(
      "/api/history",
      {
        event_type: types(),
        device_id: device(),
        from: new Date(wanted.fromMs).toISOString(),
        to: new Date(wanted.toMs).toISOString(),
        limit: String(seriesMax),
        step: String(stepSeconds(wanted, points)),
      },
      signal,
    );
  const viewKey = createMemo(() => JSON.stringify([time.spec(), types(), device(), compare()]));
  const everyMs = (): number => refreshMs(range().toMs - range().fromMs);
  const main = createQuery(
    viewKey,
    async (_, signal) => {
      const now = range();
      const span = now.toMs - now.fromMs;
      const points = chartPoints(innerWidth);
      const [answer, before] = await Promise.all([
        ask(now, points, signal),
        compare() ? ask({ fromMs: now.fromMs - span, toMs: now.fromMs }, points, signal) : undefined,
      ]);
      if (!answer.ok) return answer;
      if (before && !before.ok) return before;
      return {
        ok: true,
        data: {
          now: withoutUnfinished(answer.data, serverNow()),
          before: before?.data,
          spanMs: span,
          fromMs: Date.parse(answer.data.from),
          toMs: Date.parse(answer.data.to),
        },
      };
    },
    { everyMs },
  );
  const around = createQuery(
    viewKey,
    async (_, signal) => {
      const bounds = surroundings(range(), serverNow());
      const answer = await ask(bounds, brushPoints, signal);
      return answer.ok ? { ok: true, data: { bounds, history: withoutUnfinished(answer.data, serverNow()) } } : answer;
    },
    { everyMs: () => everyMs() * 4 },
  );
  const typeList = createQuery(time.spec, (_, signal) => {
    const { fromMs, toMs } = range();
    return api.get(
      "/api/event-types",
      { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() },
      signal,
    );
  });

  const slotOf = createMemo(() => {
    const names = (main.data()?.now.series ?? []).slice(0, seriesMax).map((each) => each.event_type);
    return new Map(names.map((name, index) => [name, index]));
  });
  const series = createMemo((): ExploreSeries[] => {
    const data = main.data();
    if (!data) return [];
    const lines = (history: History, shiftMs: number, previous: boolean): ExploreSeries[] =>
      history.series
        .filter((each) => slotOf().has(each.event_type))
        .map((each) => ({
          name: previous ? `${each.event_type}, before` : each.event_type,
          slot: slotOf().get(each.event_type)!,
          previous,
          points: withGaps(metricSteps(history, each.points, metric()), history.step_seconds).map(
            ({ timeMs, point }) => ({
              x: timeMs + shiftMs,
              y: point ? metricValue(point, metric(), history.step_seconds) : null,
            }),
          ),
        }));
    return [...lines(data.now, 0, false), ...(data.before ? lines(data.before, data.spanMs, true) : [])];
  });
  const brush = createMemo(() => {
    const data = around.data();
    if (!data) return undefined;
    const { history, bounds } = data;
    const counts = new Map<number, number>();
    for (const series of history.series) {
      for (const { time, count } of metricSteps(history, series.points, "rate")) {
        const x = Date.parse(time);
        counts.set(x, (counts.get(x) ?? 0) + count / history.step_seconds);
      }
    }
    const points = [...counts].sort((a, b) => a[0] - b[0]).map(([x, y]) => ({ x, y }));
    return { points, ...bounds };
  });
  const empty = (): boolean =>
    main.data() !== undefined && main.data()!.now.series.every((each) => each.points.length === 0);

  const [png, setPng] = createSignal<() => Promise<string>>();
  const save = (href: string, name: string): void => {
    const link = document.createElement("a");
    link.href = href;
    link.download = name;
    link.click();
  };
  const fileName = (kind: string): string =>
    `sluice-${metric()}-${new Date(range().fromMs).toISOString().slice(0, 16).replaceAll(":", "")}.${kind}`;
  const saveCsv = (): void => {
    const data = main.data();
    if (!data) return;
    const url = URL.createObjectURL(new Blob([historyCsv(data.now)], { type: "text/csv" }));
    save(url, fileName("csv"));
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  const savePng = async (): Promise<void> => {
    const make = png();
    if (make) save(await make(), fileName("png"));
  };

  const toggleType = (type: string, on: boolean): void => {
    const next = on ? [...types(), type] : types().filter((each) => each !== type);
    router.setParams({ types: encodeTypes(next) }, { push: true });
  };
  const [typeFilter, setTypeFilter] = createSignal("");
  const typeNames = createMemo(() => {
    const known = typeList.data()?.event_types ?? [];
    const missing = types().filter((type) => !known.some((each) => each.event_type === type));
    return [...missing.map((event_type) => ({ event_type, event_count: 0 })), ...known];
  });
  const shownTypes = createMemo(() => {
    const words = typeFilter().toLowerCase();
    return typeNames()
      .filter((each) => each.event_type.toLowerCase().includes(words))
      .slice(0, 100);
  });
  let search!: HTMLInputElement;
  shortcuts.add("/", () => search.focus());

  const formatMetric = (value: number | null): string => (metric() === "rate" ? formatRate(value) : formatValue(value));
  const shown = createMemo(() => {
    const data = main.data();
    return data ? { fromMs: data.fromMs, toMs: data.toMs } : undefined;
  });

  return (
    <div class="page">
      <div class="page-head">
        <h1>Explore</h1>
        <TabChoice />
        <TimePicker range={time} />
      </div>
      <Show when={main.failure()}>
        {(failure) => (
          <Notice
            tone="warn"
            title="The history cannot be read."
            action={
              <button type="button" class="button" onClick={() => main.refresh()}>
                Try again
              </button>
            }
          >
            {failure().message} <Show when={main.data()}>The chart shows the last answer.</Show>
          </Notice>
        )}
      </Show>
      <div class="explore-grid">
        <section class="panel explore-side" aria-labelledby="choose-title">
          <div class="panel-head">
            <h2 id="choose-title">What to draw</h2>
          </div>
          <div class="panel-body choose">
            <label class="stack">
              <span>Figure</span>
              <select
                value={metric()}
                onChange={(event) =>
                  router.setParams(
                    { metric: event.currentTarget.value === "rate" ? undefined : event.currentTarget.value },
                    { push: true },
                  )
                }
              >
                <For each={metrics}>{(each) => <option value={each.value}>{each.label}</option>}</For>
              </select>
            </label>
            <label class="stack">
              <span>Device</span>
              <input
                type="search"
                placeholder="All devices"
                value={device()}
                onChange={(event) => router.setParams({ device: event.currentTarget.value.trim() }, { push: true })}
              />
            </label>
            <label class="check">
              <input
                type="checkbox"
                checked={compare()}
                onChange={(event) =>
                  router.setParams({ compare: event.currentTarget.checked ? "1" : undefined }, { push: true })
                }
              />
              Compare with the period before
            </label>
            <fieldset class="type-choice">
              <legend>Event types</legend>
              <label class="search slash">
                <span class="visually-hidden">Search event types</span>
                <input
                  ref={search}
                  type="search"
                  placeholder="Search types"
                  value={typeFilter()}
                  onInput={(event) => setTypeFilter(event.currentTarget.value)}
                />
              </label>
              <p class="panel-note">
                {types().length === 0 ? "The largest, until you choose" : `${formatCount(types().length)} chosen`}
              </p>
              <ul>
                <For each={shownTypes()}>
                  {(each) => (
                    <li>
                      <label class="check">
                        <input
                          type="checkbox"
                          checked={types().includes(each.event_type)}
                          onChange={(event) => toggleType(each.event_type, event.currentTarget.checked)}
                        />
                        <span class="clip">{each.event_type}</span>
                        <span class="panel-note push">{formatCount(each.event_count)}</span>
                      </label>
                    </li>
                  )}
                </For>
              </ul>
            </fieldset>
          </div>
        </section>
        <section class="panel explore-panel" aria-labelledby="chart-title">
          <div class="panel-head">
            <h2 id="chart-title">{metrics.find((each) => each.value === metric())?.label}</h2>
            <span class="panel-note">
              <Show when={main.data()}>
                {(data) => (
                  <>
                    steps of {formatDuration(data().now.step_seconds)}, from {data().now.source}
                    <Show when={device()}>, of {device()}</Show>
                    <Show when={types().length === 0 && data().now.series.length >= seriesMax}>
                      , the largest {seriesMax} types
                    </Show>
                  </>
                )}
              </Show>
            </span>
            <div class="button-group push">
              <button type="button" class="button" disabled={!main.data()} onClick={saveCsv}>
                <Icon name="download" />
                CSV
              </button>
              <button type="button" class="button" disabled={!png() || empty()} onClick={() => void savePng()}>
                <Icon name="download" />
                PNG
              </button>
            </div>
          </div>
          <p class="panel-foot">
            Drag over the chart to zoom; the back button undoes it. Drag the window in the small one below, the same
            events and those around them, to move through time.
          </p>
          <Show
            when={!empty()}
            fallback={
              <Blank title="No events in this range">
                <p>Choose another range or fewer conditions. If nothing has ever been sent, this is how to begin:</p>
                <FirstEvent />
              </Blank>
            }
          >
            <Suspense fallback={<ChartsWait />}>
              <ExploreCharts
                series={series()}
                zeroBased={metric() === "rate"}
                fromMs={shown()?.fromMs ?? range().fromMs}
                toMs={shown()?.toMs ?? range().toMs}
                brush={brush()}
                label={`${metrics.find((each) => each.value === metric())?.label} by event type over time; the table below has the figures`}
                onZoom={time.zoom}
                onReady={(make) => setPng(() => make)}
              />
            </Suspense>
            <section class="table-scroll" tabindex="0" aria-label="Summary, scrolls sideways">
              <table>
                <caption class="visually-hidden">Each line of the chart in figures</caption>
                <thead>
                  <tr>
                    <th scope="col">Type</th>
                    <th scope="col" class="num">
                      Events
                    </th>
                    <th scope="col" class="num">
                      Lowest
                    </th>
                    <th scope="col" class="num">
                      Mean
                    </th>
                    <th scope="col" class="num">
                      Highest
                    </th>
                    <th scope="col" class="num">
                      Last
                    </th>
                    <Show when={compare()}>
                      <th scope="col" class="num">
                        Mean before
                      </th>
                    </Show>
                  </tr>
                </thead>
                <tbody>
                  <For each={(main.data()?.now.series ?? []).filter((each) => slotOf().has(each.event_type))}>
                    {(each) => {
                      const stats = createMemo(() => summary(main.data()!.now, each.points, metric()));
                      const before = createMemo(() => {
                        const history = main.data()?.before;
                        const points = history?.series.find((one) => one.event_type === each.event_type)?.points ?? [];
                        return history ? summary(history, points, metric()).mean : null;
                      });
                      return (
                        <tr>
                          <th scope="row">
                            <span class="type-name">
                              <Swatch slot={slotOf().get(each.event_type) ?? -1} />
                              <span>{each.event_type}</span>
                            </span>
                          </th>
                          <td class="num">{formatCount(stats().count)}</td>
                          <td class="num">{formatMetric(stats().low)}</td>
                          <td class="num">{formatMetric(stats().mean)}</td>
                          <td class="num">{formatMetric(stats().high)}</td>
                          <td class="num">{formatMetric(stats().last)}</td>
                          <Show when={compare()}>
                            <td class="num">{formatMetric(before())}</td>
                          </Show>
                        </tr>
                      );
                    }}
                  </For>
                </tbody>
              </table>
            </section>
          </Show>
        </section>
      </div>
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

interface Summary {
  count: number;
  low: number | null;
  mean: number | null;
  high: number | null;
  last: number | null;
}

/** The mean of values is weighted by their counts: a step with one event weighs less than one with a thousand. */
function summary(history: History, points: readonly HistoryPoint[], metric: Metric): Summary {
  const out: Summary = { count: 0, low: null, mean: null, high: null, last: null };
  let sum = 0;
  let weight = 0;
  for (const point of metricSteps(history, points, metric)) {
    out.count += point.count;
    const value = metricValue(point, metric, history.step_seconds);
    if (value === null) continue;
    out.low = out.low === null ? value : Math.min(out.low, value);
    out.high = out.high === null ? value : Math.max(out.high, value);
    out.last = value;
    const weighs = metric === "rate" ? 1 : point.count;
    sum += value * weighs;
    weight += weighs;
  }
  out.mean = weight === 0 ? null : sum / weight;
  return out;
}
