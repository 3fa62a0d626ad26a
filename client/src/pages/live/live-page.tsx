import "./live-page.css";
import { createEffect, createMemo, For, type JSX, lazy, on, Show, Suspense } from "solid-js";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { afterPaint } from "../../charts/after-paint.ts";
import { Sparkline } from "../../charts/live-sparkline.tsx";
import { quantileLines } from "../../charts/palette.ts";
import { Swatch } from "../../charts/swatch.tsx";
import { totalName } from "../../live/live.ts";
import { CurlHint } from "../../ui/curl-hint.tsx";
import { formatCount, formatDuration, formatRate, formatTime } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Blank, Notice } from "../../ui/notice.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { createTopTypes } from "./top-types.ts";
import { TypeTable } from "./type-table.tsx";

const LiveRateChart = lazy(() => afterPaint().then(() => import("./live-rate-chart.tsx")));
const HistoryChart = lazy(() => afterPaint().then(() => import("../../charts/history-chart.tsx")));

const ranges = [
  { value: "60", label: "1 min" },
  { value: "180", label: "3 min" },
  { value: "600", label: "10 min" },
] as const;
type RangeValue = (typeof ranges)[number]["value"];

export default function LivePage(): JSX.Element {
  const { live, router, shortcuts, preferences } = useApp();

  const range = (): RangeValue => ranges.find((each) => each.value === router.param("range"))?.value ?? "600";
  const setRange = (value: RangeValue): void => router.setParams({ range: value === "600" ? undefined : value });
  const moveRange = (by: number): void => {
    const at = ranges.findIndex((each) => each.value === range());
    const next = ranges[Math.min(ranges.length - 1, Math.max(0, at + by))];
    if (next) setRange(next.value);
  };

  // Force-play is part of the view: a wall screen's link must bring it back. A pause is a moment, and is not.
  createEffect(
    on(
      () => router.param("play") === "force",
      (force) => {
        if (live.mode() !== "pause" || force) live.setMode(force ? "force" : "play");
      },
    ),
  );
  const resting = (): "play" | "force" => (router.param("play") === "force" ? "force" : "play");
  const togglePause = (): void => live.setMode(live.mode() === "pause" ? resting() : "pause");
  const toggleForce = (): void => {
    router.setParams({ play: resting() === "force" ? undefined : "force" });
    live.setMode(resting());
  };

  shortcuts.add("space", togglePause);
  shortcuts.add("f", toggleForce);
  shortcuts.add("[", () => moveRange(-1));
  shortcuts.add("]", () => moveRange(1));

  live.wantPast();
  const slots = createTopTypes(live);
  const largest = createMemo(() => {
    let best: string | undefined;
    let count = -1;
    live.nowMs();
    for (const row of live.rows()) {
      if (row.latest().event_count > count && row.latest().p50 !== null) {
        count = row.latest().event_count;
        best = row.type;
      }
    }
    return best ?? live.rows()[0]?.type;
  });
  const chosen = (): string | undefined => router.param("type") || largest();

  const hasFigures = createMemo(() => live.figures() !== undefined);
  const quietWindow = createMemo(() => live.figures()?.eventCount === 0);
  const neverAny = createMemo(() => quietWindow() && live.pipeline()?.accepted === 0);

  return (
    <div class="page live-page">
      <h1 class="visually-hidden">Live</h1>
      <StoreNotice />
      <Figures />
      <div class="toolbar">
        <Segmented label="Time range of the charts" name="range" value={range()} options={ranges} onChange={setRange} />
        <div class="button-group">
          <button
            type="button"
            class="button play-button"
            classList={{ primary: live.mode() === "pause" }}
            title="Space bar"
            onClick={togglePause}
          >
            <Icon name={live.mode() === "pause" ? "play" : "pause"} />
            {live.mode() === "pause" ? "Resume" : "Pause"}
          </button>
          <button
            type="button"
            class="button"
            aria-pressed={resting() === "force"}
            title="Play on while the pointer is over a chart (f)"
            onClick={toggleForce}
          >
            Force play
          </button>
        </div>
        <p class="updated">
          <Show when={live.mode() === "pause"}>
            <strong class="paused-mark">Paused. </strong>
          </Show>
          <Show when={live.figures()} fallback="Waiting for the first update">
            {(figures) => (
              <>
                Last updated <time>{formatTime(figures().timestampMs, preferences.zone())}</time>
                <Show when={preferences.zone() === "utc"}> UTC</Show>
              </>
            )}
          </Show>
        </p>
      </div>
      <Show
        when={!quietWindow()}
        fallback={
          <section class="panel">
            <Blank title={neverAny() ? "No events yet" : "No events in the last ten minutes"}>
              <p>
                {neverAny()
                  ? "Sluice is running and waiting for its first event. Send one from a terminal; it shows here at once."
                  : "The service is running; no device has reported lately. Send an event to see that the way is clear."}
              </p>
              <CurlHint />
            </Blank>
          </section>
        }
      >
        <div class="live-grid">
          <section class="panel rate-panel" aria-labelledby="rate-title">
            <div class="panel-head">
              <h2 id="rate-title">Events per second</h2>
              <span class="panel-note">by type, mean of ten seconds</span>
            </div>
            <div class="chart-box tall">
              <Show when={hasFigures()} fallback={<ChartWait />}>
                <Suspense fallback={<ChartWait />}>
                  <LiveRateChart
                    slots={slots()}
                    seconds={Number(range())}
                    label={`Events per second by type over the last ${Number(range()) / 60} minutes. The table of event types has the same figures.`}
                  />
                </Suspense>
              </Show>
            </div>
            <ul class="legend">
              <For each={[...slots().keys()]}>
                {(type) => (
                  <li>
                    <Swatch slot={slots().get(type) ?? -1} />
                    <span>{type}</span>
                  </li>
                )}
              </For>
              <Show when={live.rows().length > slots().size}>
                <li>
                  <Swatch slot={-1} />
                  <span>all others</span>
                </li>
              </Show>
            </ul>
          </section>
          <ValuePanel type={chosen()} seconds={Number(range())} />
          <TypeTable
            selected={chosen()}
            onSelect={(type) => router.setParams({ type }, { push: true })}
            slotOf={(type) => slots().get(type)}
          />
        </div>
      </Show>
    </div>
  );
}

function ChartWait(): JSX.Element {
  return <div class="chart-wait">Waiting for data</div>;
}

function StoreNotice(): JSX.Element {
  const { live } = useApp();
  const state = createMemo(() => live.pipeline()?.clickhouse ?? "ok");
  const pending = createMemo(() => live.pipeline()?.pending ?? 0);
  return (
    <Show when={state() !== "ok"}>
      <Notice
        tone={state() === "denied" ? "bad" : "warn"}
        title={state() === "denied" ? "ClickHouse refuses the service's credentials." : "ClickHouse does not answer."}
        action={
          <a class="button" href="/pipeline">
            Pipeline
          </a>
        }
      >
        Events are still accepted and kept in the journal: {formatCount(pending())} are waiting, nothing is lost. Live
        figures include them.
      </Notice>
    </Show>
  );
}

function Figures(): JSX.Element {
  const { live } = useApp();
  const always = (): boolean => true;
  const lag = (): string => {
    const pipeline = live.pipeline();
    return pipeline ? formatDuration(pipeline.store_lag_seconds) : "–";
  };
  return (
    <dl class="figures" data-stale={live.kept() ? "" : undefined}>
      <div class="figure">
        <dt>Events per second</dt>
        <dd class="figure-value" data-testid="rate">
          {formatRate(live.figures()?.rate)}
        </dd>
        <dd class="figure-note figure-spark">
          <Sparkline type={totalName} visible={always} fill />
        </dd>
      </div>
      <div class="figure">
        <dt>Events in ten minutes</dt>
        <dd class="figure-value" data-testid="events">
          {formatCount(live.figures()?.eventCount)}
        </dd>
        <dd class="figure-note">{formatCount(live.figures()?.eventTypes)} event types</dd>
      </div>
      <div class="figure">
        <dt>Active devices</dt>
        <dd class="figure-value" data-testid="devices">
          {formatCount(live.figures()?.activeDevices)}
        </dd>
        <dd class="figure-note">reported in ten minutes</dd>
      </div>
      <div class="figure">
        <dt>Store lag</dt>
        <dd class="figure-value" data-testid="lag">
          {lag()}
        </dd>
        <dd class="figure-note">{formatCount(live.pipeline()?.pending)} waiting for ClickHouse</dd>
      </div>
    </dl>
  );
}

/** Live quantiles move with every event; these come from the stored seconds, so they can be drawn over time. */
const valueStepSeconds = 5;

function ValuePanel(props: { type: string | undefined; seconds: number }): JSX.Element {
  const { api, live } = useApp();
  const source = createMemo(() => ({ type: props.type, seconds: props.seconds }), undefined, {
    equals: (a, b) => a.type === b.type && a.seconds === b.seconds,
  });
  const history = createQuery(
    source,
    async ({ type, seconds }, signal) => {
      if (type === undefined) return { ok: false, reason: "aborted", status: 0, code: "aborted", message: "" };
      const toMs = Date.now() + live.clockOffsetMs();
      const step = seconds <= 180 ? 1 : valueStepSeconds;
      const answer = await api.get(
        "/api/history",
        {
          event_type: type,
          from: new Date(toMs - seconds * 1000).toISOString(),
          to: new Date(toMs).toISOString(),
          step: String(step),
        },
        signal,
      );
      return answer;
    },
    { everyMs: 5_000 },
  );
  // A paused page holds its value chart too, while the data goes on being asked for.
  const shown = createMemo<ReturnType<typeof history.data>>((previous) =>
    live.mode() === "pause" && previous !== undefined ? previous : history.data(),
  );
  const series = () => shown()?.series.find((each) => each.event_type === props.type);
  const hasValues = () => series()?.points.some((point) => point.p50 !== null) ?? false;
  return (
    <section class="panel value-panel" aria-labelledby="value-title">
      <div class="panel-head">
        <h2 id="value-title">Values</h2>
        <span class="panel-note">
          <Show when={props.type}>{(type) => <b class="type-chip">{type()}</b>}</Show>
        </span>
      </div>
      <div class="chart-box tall">
        <Show
          when={hasValues() && shown()}
          fallback={
            <Show
              when={history.failure()}
              fallback={
                <div class="chart-wait">{shown() ? "This type carries no numbers" : "Asking for its history"}</div>
              }
            >
              {(failure) => <div class="chart-wait">{failure().message}</div>}
            </Show>
          }
        >
          {(data) => (
            <Suspense fallback={<ChartWait />}>
              <HistoryChart
                kind="quantiles"
                points={series()?.points ?? []}
                stepSeconds={data().step_seconds}
                fromSecond={Date.parse(data().from) / 1000}
                toSecond={Date.parse(data().to) / 1000}
                label={`Median, 95th and 99th percentile of the values of ${props.type ?? "no type"} over time`}
              />
            </Suspense>
          )}
        </Show>
      </div>
      <ul class="legend">
        <For each={quantileLines.toReversed()}>
          {({ figure, slot, dash }) => (
            <li>
              <Swatch slot={slot} dash={dash} />
              <span>{figure}</span>
            </li>
          )}
        </For>
      </ul>
    </section>
  );
}
