import "./pipeline-page.css";
import { createMemo, For, Index, type JSX, on, Show } from "solid-js";
import type { PipelineDetail } from "../../../../contract/read.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { createRateMeter } from "../../live/rate-meter.ts";
import {
  formatAge,
  formatBytes,
  formatCompact,
  formatCount,
  formatDuration,
  formatRate,
  formatTime,
} from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";
import { Blank, Notice } from "../../ui/notice.tsx";

const clickhouseWords = {
  ok: { label: "Answers", tone: "ok" },
  unavailable: { label: "Does not answer", tone: "warn" },
  denied: { label: "Refuses our credentials", tone: "bad" },
} as const;

export default function PipelinePage(): JSX.Element {
  const { api, live, preferences } = useApp();
  const query = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/pipeline", {}, signal),
    { everyMs: 1_000 },
  );
  const detail = query.data;
  const meters = { accepted: createRateMeter(), durable: createRateMeter(), stored: createRateMeter() };
  const rates = createMemo<Record<keyof typeof meters, number | null>>(
    on(detail, (data) => {
      // The service's own clock: answers take their time on the way.
      const at = (data?.uptime_seconds ?? 0) * 1000;
      return {
        accepted: meters.accepted(at, data?.accepted),
        durable: meters.durable(at, data?.durable),
        stored: meters.stored(at, data?.stored),
      };
    }),
  );
  const state = (): PipelineDetail["clickhouse"] => detail()?.clickhouse ?? "ok";
  const ago = (iso: string): string => {
    const age = formatAge((live.nowMs() + live.clockOffsetMs() - Date.parse(iso)) / 1000);
    return age === "now" ? "just now" : `${age} ago`;
  };
  const lastBatch = () => detail()?.batches.at(-1);
  const batchRows = createMemo(() => detail()?.batches ?? []);
  const median = (values: number[]): number | null => {
    const sorted = values.sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? null;
  };

  return (
    <div class="page">
      <div class="page-head">
        <h1>Pipeline</h1>
        <Show when={detail()}>
          {(data) => (
            <p class="panel-note">
              Sluice {data().version}, up {formatDuration(data().uptime_seconds)}
              <Show when={data().clickhouse_version}>, ClickHouse {data().clickhouse_version}</Show>
            </p>
          )}
        </Show>
      </div>
      <Show when={query.failure()}>
        {(failure) => (
          <Notice tone="warn" title="The state of the pipeline cannot be read.">
            {failure().message}
            <Show when={query.atMs()}>
              {(at) => (
                <> Below is what it was {formatDuration(Math.max(0, Math.floor((live.nowMs() - at()) / 1000)))} ago.</>
              )}
            </Show>
          </Notice>
        )}
      </Show>
      <Show
        when={detail()}
        fallback={
          <section class="panel">
            <Blank title={query.failure() ? "No figures yet" : "Asking for the state of the pipeline"} />
          </section>
        }
      >
        {(data) => (
          <>
            <section
              class="panel verdict"
              data-tone={!data().ready ? "bad" : data().reasons.length > 0 ? "warn" : "ok"}
            >
              <Icon name={data().ready && data().reasons.length === 0 ? "live" : "warn"} />
              <div>
                <h2>
                  {!data().ready
                    ? "Not accepting events"
                    : data().reasons.length > 0
                      ? "Accepting events, with a fault behind"
                      : "Everything flows"}
                </h2>
                <For each={data().reasons}>{(reason) => <p>{reason}</p>}</For>
                <Show when={data().ready && data().reasons.length === 0}>
                  <p>Every accepted event is on disk; ClickHouse keeps up.</p>
                </Show>
              </div>
            </section>
            <ol class="flow">
              <li class="panel flow-stage">
                <h2>Accepted</h2>
                <p class="figure-value">{formatCount(data().accepted)}</p>
                <p class="figure-note">{rateText(rates().accepted)}</p>
                <Meter label="Ring in memory" value={data().ring.bytes} max={data().ring.max_bytes} />
              </li>
              <li class="flow-arrow" aria-hidden="true">
                <Icon name="forward" />
              </li>
              <li class="panel flow-stage">
                <h2>Durable</h2>
                <p class="figure-value">{formatCount(data().durable)}</p>
                <p class="figure-note">{rateText(rates().durable)}</p>
                <Meter label="Journal on disk" value={data().journal.bytes} max={data().journal.max_bytes} />
              </li>
              <li class="flow-arrow" aria-hidden="true">
                <Icon name="forward" />
              </li>
              <li class="panel flow-stage">
                <h2>Stored</h2>
                <p class="figure-value">{formatCount(data().stored)}</p>
                <p class="figure-note">{rateText(rates().stored)}</p>
                <p class="state-line" data-tone={clickhouseWords[state()].tone}>
                  <i />
                  ClickHouse: {clickhouseWords[state()].label}
                </p>
              </li>
            </ol>
            <dl class="figures">
              <div class="figure">
                <dt>Waiting for ClickHouse</dt>
                <dd class="figure-value">{formatCount(data().pending)}</dd>
                <dd class="figure-note">
                  {data().journal.segments === 1
                    ? "in one journal segment"
                    : `in ${formatCount(data().journal.segments)} journal segments`}
                </dd>
              </div>
              <div class="figure">
                <dt>Store lag</dt>
                <dd class="figure-value">{formatDuration(data().store_lag_seconds)}</dd>
                <dd class="figure-note">age of the oldest waiting event</dd>
              </div>
              <div class="figure">
                <dt>Retries</dt>
                <dd class="figure-value">{formatCount(data().retries)}</dd>
                <dd class="figure-note">inserts tried again since the start</dd>
              </div>
              <div class="figure">
                <dt>Viewers</dt>
                <dd class="figure-value">{formatCount(data().streams)}</dd>
                <dd class="figure-note">open live streams</dd>
              </div>
            </dl>
            <div class="pipeline-grid">
              <section class="panel" aria-labelledby="batches-title">
                <div class="panel-head">
                  <h2 id="batches-title">Batches</h2>
                  <span class="panel-note">
                    <Show when={lastBatch()} fallback="none yet">
                      {(batch) => (
                        <>
                          the last {batchRows().length}; newest {ago(batch().stored_at)}
                        </>
                      )}
                    </Show>
                  </span>
                </div>
                <div class="panel-body bars-pair">
                  <Bars
                    label="Rows in a batch"
                    values={batchRows().map((batch) => batch.rows)}
                    format={formatCompact}
                    summary={`median ${formatCount(median(batchRows().map((batch) => batch.rows)))}, ${formatBytes(median(batchRows().map((batch) => batch.bytes)))}`}
                  />
                  <Bars
                    label="Insert time"
                    values={batchRows().map((batch) => batch.insert_seconds)}
                    marks={batchRows().map((batch) => batch.attempts > 1)}
                    format={formatDuration}
                    summary={`median ${formatDuration(median(batchRows().map((batch) => batch.insert_seconds)))}; hatched: needed more than one attempt`}
                  />
                </div>
              </section>
              <section class="panel" aria-labelledby="error-title">
                <div class="panel-head">
                  <h2 id="error-title">Last error</h2>
                </div>
                <div class="panel-body">
                  <Show when={data().last_error} fallback={<p class="panel-note">None since the start.</p>}>
                    {(error) => (
                      <>
                        <p class="error-text">{error().message}</p>
                        <p class="panel-note">
                          {formatTime(Date.parse(error().at), preferences.zone(), "full")}, {ago(error().at)}
                          <Show when={error().code}>, code {error().code}</Show>
                        </p>
                      </>
                    )}
                  </Show>
                </div>
                <div class="panel-head">
                  <h2>Tables</h2>
                  <span class="panel-note">active parts in ClickHouse</span>
                </div>
                <Show
                  when={data().parts}
                  fallback={<p class="panel-body panel-note">Not known while ClickHouse does not answer.</p>}
                >
                  {(parts) => (
                    <section class="table-scroll" tabindex="0" aria-label="Tables, scrolls sideways">
                      <table>
                        <thead>
                          <tr>
                            <th scope="col">Table</th>
                            <th scope="col" class="num">
                              Parts
                            </th>
                            <th scope="col" class="num">
                              Rows
                            </th>
                            <th scope="col" class="num">
                              Size
                            </th>
                          </tr>
                        </thead>
                        <tbody>
                          <Index each={parts()}>
                            {(part) => (
                              <tr>
                                <th scope="row">{part().table}</th>
                                <td class="num">{formatCount(part().parts)}</td>
                                <td class="num">{formatCount(part().rows)}</td>
                                <td class="num">{formatBytes(part().bytes)}</td>
                              </tr>
                            )}
                          </Index>
                        </tbody>
                      </table>
                    </section>
                  )}
                </Show>
              </section>
              <section class="panel dead-panel" aria-labelledby="dead-title">
                <div class="panel-head">
                  <h2 id="dead-title">Dead letters</h2>
                  <span class="panel-note">
                    {data().dead_letters.count === 0
                      ? "none"
                      : `${formatCount(data().dead_letters.count)} events that ClickHouse refused, kept in a file that can be replayed`}
                  </span>
                </div>
                <Show
                  when={data().dead_letters.newest.length > 0}
                  fallback={<p class="panel-body panel-note">Every accepted event was good enough for ClickHouse.</p>}
                >
                  <ul class="dead-list">
                    <Index each={data().dead_letters.newest}>
                      {(letter) => (
                        <li>
                          <details>
                            <summary>
                              <span class="dead-reason">{letter().reason}</span>
                              <span class="panel-note">
                                {letter().event.device_id}, {letter().event.event_type}, {ago(letter().at)}
                              </span>
                            </summary>
                            <pre tabindex="0">{JSON.stringify(letter().event, null, 2)}</pre>
                          </details>
                        </li>
                      )}
                    </Index>
                  </ul>
                </Show>
              </section>
            </div>
          </>
        )}
      </Show>
    </div>
  );
}

function rateText(rate: number | null): string {
  return rate === null ? "measuring" : `${formatRate(rate)} /s`;
}

function Meter(props: { label: string; value: number; max: number }): JSX.Element {
  const share = (): number => (props.max > 0 ? props.value / props.max : 0);
  return (
    <div class="meter">
      <span>
        {props.label} <b>{formatBytes(props.value)}</b> of {formatBytes(props.max)}
      </span>
      <meter min={0} max={1} high={0.8} value={share()} aria-label={props.label} />
    </div>
  );
}

function Bars(props: {
  label: string;
  values: number[];
  marks?: boolean[];
  summary: string;
  format(value: number): string;
}): JSX.Element {
  const max = (): number => Math.max(1e-9, ...props.values);
  return (
    <figure class="bars-figure">
      <figcaption>
        <span class="bars-max">{props.values.length > 0 ? `largest ${props.format(max())}` : ""}</span>
        <b>{props.label}</b> <span class="panel-note">{props.summary}</span>
      </figcaption>
      <div class="bars" role="img" aria-label={`${props.label}: ${props.summary}, largest ${props.format(max())}`}>
        <Index each={props.values}>
          {(value, index) => (
            <i
              classList={{ marked: props.marks?.[index] === true }}
              title={props.format(value())}
              style={{ height: `${Math.max(2, (value() / max()) * 100)}%` }}
            />
          )}
        </Index>
      </div>
    </figure>
  );
}
