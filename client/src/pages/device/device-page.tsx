import "./device-page.css";
import { createEffect, createMemo, createSignal, For, type JSX, lazy, Show, Suspense } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import { decodeDeviceSegment, encodeDeviceSegment } from "../../../../contract/device-path.ts";
import type { StoredEvent } from "../../../../contract/event.ts";
import type { DeviceDetail } from "../../../../contract/read.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import type { PageProps } from "../../app/page-props.ts";
import { rangeChart } from "../../charts/history-lines.ts";
import { createDeviceTail, tailMax } from "../../live/device-tail.ts";
import { Status } from "../../ui/device-status.tsx";
import { FirstEvent } from "../../ui/first-event.tsx";
import { formatAge, formatCount, formatTime, formatValue, reportingInterval } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Blank, Notice } from "../../ui/notice.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { unitOf } from "../../ui/units.ts";

const LinesChart = lazy(() => import("../../charts/lines-chart.tsx"));

const ranges = [
  { value: "900", label: "15 min" },
  { value: "3600", label: "1 h" },
  { value: "86400", label: "24 h" },
  { value: "604800", label: "7 d" },
] as const;
type RangeValue = (typeof ranges)[number]["value"];

function valueText(event: Pick<StoredEvent, "value_float" | "value_string">): string {
  if (event.value_float !== null) return formatValue(event.value_float);
  return event.value_string ?? "–";
}

export default function DevicePage(props: PageProps): JSX.Element {
  const { api, router, live, shortcuts, preferences } = useApp();
  const id = decodeDeviceSegment(props.params.id ?? "");
  const detail = createQuery(
    () => id,
    (device, signal) => api.get(`/api/devices/${encodeDeviceSegment(device)}`, {}, signal),
    { everyMs: 2_000 },
  );
  const [types, setTypes] = createStore<{ list: DeviceDetail["event_types"] }>({ list: [] });
  createEffect(() => {
    const data = detail.data();
    if (data) setTypes("list", reconcile(data.event_types, { key: "event_type" }));
  });

  const range = (): RangeValue => ranges.find((each) => each.value === router.param("range"))?.value ?? "3600";
  const setRange = (value: RangeValue): void => router.setParams({ range: value === "3600" ? undefined : value });
  const moveRange = (by: number): void => {
    const next = ranges[ranges.findIndex((each) => each.value === range()) + by];
    if (next) setRange(next.value);
  };
  const chosen = createMemo(() => router.param("type") || types.list[0]?.event_type);
  const history = createQuery(
    createMemo(() => ({ type: chosen(), seconds: Number(range()) }), undefined, {
      equals: (a, b) => a.type === b.type && a.seconds === b.seconds,
    }),
    async ({ type, seconds }, signal) => {
      if (type === undefined) return { ok: false, reason: "aborted", status: 0, code: "aborted", message: "" };
      const toMs = Date.now() + live.clockOffsetMs();
      return api.get(
        "/api/history",
        {
          device_id: id,
          event_type: type,
          from: new Date(toMs - seconds * 1000).toISOString(),
          to: new Date(toMs).toISOString(),
        },
        signal,
      );
    },
    { everyMs: 10_000 },
  );
  const points = () => history.data()?.series.find((each) => each.event_type === chosen())?.points ?? [];

  // The newest stored events fill the tail until live ones have come.
  const stored = createQuery(
    () => id,
    (device, signal) => api.get("/api/events", { device_id: device, limit: "30" }, signal),
  );
  const tail = createDeviceTail(id, api.base);
  const rows = createMemo(() => {
    const live = tail.events();
    const oldest = live.at(-1)?.received_at;
    const earlier = (stored.data()?.events ?? []).filter((event) => oldest === undefined || event.received_at < oldest);
    return [...live, ...earlier].slice(0, tailMax);
  });

  shortcuts.add("[", () => moveRange(-1));
  shortcuts.add("]", () => moveRange(1));
  shortcuts.add("space", () => tail.setPaused(!tail.paused()));

  const [copied, setCopied] = createSignal(false);
  const copyId = async (): Promise<void> => {
    await navigator.clipboard.writeText(id);
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  const missing = (): boolean => detail.failure()?.status === 404 && !detail.data();
  const age = (iso: string): string => formatAge((live.nowMs() + live.clockOffsetMs() - Date.parse(iso)) / 1000);

  return (
    <div class="page">
      <div class="page-head">
        <a class="button" href={router.href("/devices")}>
          <Icon name="back" />
          Devices
        </a>
        <h1>{id}</h1>
        <button type="button" class="button" onClick={() => void copyId()}>
          <Icon name="copy" />
          {copied() ? "Copied" : "Copy id"}
        </button>
        <a class="button" href={`/explore?device=${encodeURIComponent(id)}`}>
          <Icon name="explore" />
          Explore
        </a>
      </div>
      <Show when={missing()}>
        <section class="panel">
          <Blank title="This device has never reported">
            <p>Nothing is stored under this id. An event in its name makes it appear:</p>
            <FirstEvent deviceId={id} />
          </Blank>
        </section>
      </Show>
      <Show when={detail.failure() && !missing()}>
        <Notice tone="warn" title="The stored figures of this device cannot be read.">
          {detail.failure()?.message} Its live events go on below.
        </Notice>
      </Show>
      <Show when={!missing()}>
        <dl class="figures">
          <div class="figure">
            <dt>Status</dt>
            <dd class="figure-value">
              <Show when={detail.data()} fallback="–">
                {(device) => <Status status={device().status} />}
              </Show>
            </dd>
            <dd class="figure-note">silent after twice its interval</dd>
          </div>
          <div class="figure">
            <dt>Last seen</dt>
            <dd class="figure-value">{detail.data() ? age(detail.data()!.last_seen) : "–"}</dd>
            <dd class="figure-note">
              {detail.data() ? formatTime(Date.parse(detail.data()!.last_seen), preferences.zone(), "full") : "–"}
            </dd>
          </div>
          <div class="figure">
            <dt>Usual interval</dt>
            <dd class="figure-value">{detail.data() ? reportingInterval(detail.data()!.interval_seconds) : "–"}</dd>
            <dd class="figure-note">median between two reports</dd>
          </div>
          <div class="figure">
            <dt>Events</dt>
            <dd class="figure-value">{formatCount(detail.data()?.event_count)}</dd>
            <dd class="figure-note">
              {detail.data()
                ? `since ${formatTime(Date.parse(detail.data()!.first_seen), preferences.zone(), "full")}`
                : "–"}
            </dd>
          </div>
        </dl>
        <div class="device-grid">
          <section class="panel" aria-labelledby="history-title">
            <div class="panel-head">
              <h2 id="history-title">History</h2>
              <b class="type-chip">{chosen()}</b>
              <span class="push">
                <Segmented label="Time range" name="range" value={range()} options={ranges} onChange={setRange} />
              </span>
            </div>
            <div class="chart-box tall">
              <Show
                when={points().some((point) => point.avg !== null) && history.data()}
                fallback={
                  <div class="chart-wait">
                    {history.failure()?.message ??
                      (history.data() ? "No numbers in this range" : "Asking for its history")}
                  </div>
                }
              >
                {(data) => (
                  <Suspense fallback={<div class="chart-wait">Waiting for data</div>}>
                    <LinesChart
                      {...rangeChart(points(), data().step_seconds)}
                      unit={unitOf(chosen() ?? "", detail.data()?.metadata.unit)}
                      zeroBased={false}
                      fromSecond={Date.parse(data().from) / 1000}
                      toSecond={Date.parse(data().to) / 1000}
                      label={`Average, smallest and largest ${chosen() ?? "value"} of ${id} over time`}
                    />
                  </Suspense>
                )}
              </Show>
            </div>
            <p class="panel-foot">Average, between the smallest and the largest value of each step</p>
          </section>
          <section class="panel" aria-labelledby="types-title">
            <div class="panel-head">
              <h2 id="types-title">What it reports</h2>
            </div>
            <section class="table-scroll" tabindex="0" aria-label="What it reports, scrolls sideways">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Type</th>
                    <th scope="col" class="num">
                      Last value
                    </th>
                    <th scope="col" class="num">
                      Seen
                    </th>
                    <th scope="col" class="num">
                      Events
                    </th>
                  </tr>
                </thead>
                <tbody>
                  <For each={types.list}>
                    {(type) => (
                      <tr classList={{ selected: chosen() === type.event_type }}>
                        <th scope="row">
                          <button
                            type="button"
                            class="type-name"
                            aria-pressed={chosen() === type.event_type}
                            onClick={() => router.setParams({ type: type.event_type }, { push: true })}
                          >
                            <span>{type.event_type}</span>
                          </button>
                        </th>
                        <td class="num">
                          {valueText({ value_float: type.last_value_float, value_string: type.last_value_string })}
                        </td>
                        <td class="num">{age(type.last_seen)}</td>
                        <td class="num">{formatCount(type.event_count)}</td>
                      </tr>
                    )}
                  </For>
                </tbody>
              </table>
            </section>
            <div class="panel-head">
              <h2>Metadata</h2>
              <span class="panel-note">of its newest event</span>
            </div>
            <dl class="pairs">
              <For
                each={Object.entries(detail.data()?.metadata ?? {})}
                fallback={<p class="panel-note">It sends none.</p>}
              >
                {([name, value]) => (
                  <div>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                  </div>
                )}
              </For>
            </dl>
          </section>
          <section class="panel tail" aria-labelledby="tail-title">
            <div class="panel-head">
              <h2 id="tail-title">Live events</h2>
              <span class="panel-note">
                {tail.connected() ? "as they arrive" : "connecting"}
                <Show when={tail.skipped() > 0}>, {formatCount(tail.skipped())} more came too fast to show</Show>
              </span>
              <button
                type="button"
                class="button push"
                title="Space bar"
                onClick={() => tail.setPaused(!tail.paused())}
              >
                <Icon name={tail.paused() ? "play" : "pause"} />
                {tail.paused() ? "Resume" : "Pause"}
              </button>
            </div>
            <section class="table-scroll tail-scroll" tabindex="0" aria-label="Live events, scrolls">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Time</th>
                    <th scope="col">Type</th>
                    <th scope="col" class="num">
                      Value
                    </th>
                    <th scope="col">Metadata</th>
                  </tr>
                </thead>
                <tbody>
                  <For
                    each={rows()}
                    fallback={
                      <tr>
                        <td colspan="4">Nothing has arrived yet.</td>
                      </tr>
                    }
                  >
                    {(event) => (
                      <tr>
                        <td>{formatTime(Date.parse(event.timestamp), preferences.zone())}</td>
                        <td>{event.event_type}</td>
                        <td class="num">{valueText(event)}</td>
                        <td class="tail-metadata">
                          {Object.entries(event.metadata)
                            .map(([name, value]) => `${name}=${value}`)
                            .join(" ")}
                        </td>
                      </tr>
                    )}
                  </For>
                </tbody>
              </table>
            </section>
          </section>
        </div>
      </Show>
    </div>
  );
}
