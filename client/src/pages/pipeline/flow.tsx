import { createMemo, type JSX, on } from "solid-js";
import type { PipelineDetail } from "../../../../contract/read.ts";
import { createRateMeter } from "../../live/rate-meter.ts";
import { formatBytes, formatCount, formatDuration, formatRate, plural } from "../../ui/format.ts";
import { Icon } from "../../ui/icons.tsx";

const clickhouseWords = {
  ok: { label: "available", tone: "ok" },
  unavailable: { label: "unavailable", tone: "warn" },
  denied: { label: "refuses the service's credentials", tone: "bad" },
} as const;

type Stage = "accepted" | "durable" | "stored";

/** From the door to the database: how many events have got how far, and how fast they go. */
export function Flow(props: { detail: PipelineDetail }): JSX.Element {
  const rates = createStageRates(() => props.detail);
  const clickhouse = () =>
    props.detail.starting ? { label: "starting", tone: "warn" } : clickhouseWords[props.detail.clickhouse];
  return (
    <ol class="flow">
      <FlowStage title="Accepted" count={props.detail.accepted} rate={rates().accepted}>
        <Meter label="Ring in memory" value={props.detail.ring.bytes} max={props.detail.ring.max_bytes} />
      </FlowStage>
      <FlowArrow />
      <FlowStage title="Durable" count={props.detail.durable} rate={rates().durable}>
        <Meter label="Journal on disk" value={props.detail.journal.bytes} max={props.detail.journal.max_bytes} />
      </FlowStage>
      <FlowArrow />
      <FlowStage title="Stored" count={props.detail.stored} rate={rates().stored}>
        <p class="state-line" data-tone={clickhouse().tone}>
          <i />
          ClickHouse: {clickhouse().label}
        </p>
      </FlowStage>
    </ol>
  );
}

function createStageRates(detail: () => PipelineDetail): () => Record<Stage, number | null> {
  const meters = { accepted: createRateMeter(), durable: createRateMeter(), stored: createRateMeter() };
  return createMemo(
    on(detail, (data) => {
      // The service's own clock: answers take their time on the way.
      const at = data.uptime_seconds * 1000;
      return {
        accepted: meters.accepted(at, data.accepted),
        durable: meters.durable(at, data.durable),
        stored: meters.stored(at, data.stored),
      };
    }),
  );
}

function FlowStage(props: { title: string; count: number; rate: number | null; children: JSX.Element }): JSX.Element {
  return (
    <li class="panel flow-stage">
      <h2>{props.title}</h2>
      <p class="figure-value">{formatCount(props.count)}</p>
      <p class="figure-note">{props.rate === null ? "measuring" : `${formatRate(props.rate)} /s`}</p>
      {props.children}
    </li>
  );
}

function FlowArrow(): JSX.Element {
  return (
    <li class="flow-arrow" aria-hidden="true">
      <Icon name="forward" />
    </li>
  );
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

export function PipelineFigures(props: { detail: PipelineDetail }): JSX.Element {
  return (
    <dl class="figures">
      <div class="figure">
        <dt>Waiting for ClickHouse</dt>
        <dd class="figure-value">{formatCount(props.detail.pending)}</dd>
        <dd class="figure-note">in {plural(props.detail.journal.segments, "journal segment")}</dd>
      </div>
      <div class="figure">
        <dt>Write delay</dt>
        <dd class="figure-value">{formatDuration(props.detail.store_lag_seconds)}</dd>
        <dd class="figure-note">age of the oldest waiting event</dd>
      </div>
      <div class="figure">
        <dt>Retries</dt>
        <dd class="figure-value">{formatCount(props.detail.retries)}</dd>
        <dd class="figure-note">inserts tried again since the start</dd>
      </div>
      <div class="figure">
        <dt>Viewers</dt>
        <dd class="figure-value">{formatCount(props.detail.streams)}</dd>
        <dd class="figure-note">open live streams</dd>
      </div>
    </dl>
  );
}
