import "./pipeline-page.css";
import { type JSX, Show } from "solid-js";
import type { PipelineDetail } from "../../../../contract/read.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { formatDuration } from "../../ui/format.ts";
import { Blank, Notice } from "../../ui/notice.tsx";
import { BatchesPanel } from "./batches-panel.tsx";
import { CostPanel } from "./cost-panel.tsx";
import { DeadLettersPanel } from "./dead-letters-panel.tsx";
import { Flow, PipelineFigures } from "./flow.tsx";
import { MqttPanel } from "./mqtt-panel.tsx";
import { StoragePanel } from "./storage-panel.tsx";
import { Verdict } from "./verdict.tsx";

/** What an operator needs at three in the morning. */
export default function PipelinePage(): JSX.Element {
  const { api, live } = useApp();
  const query = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/pipeline", {}, signal),
    { everyMs: 1_000 },
  );
  const ageSeconds = (atMs: number): number => Math.max(0, Math.floor((live.nowMs() - atMs) / 1000));
  return (
    <div class="page">
      <div class="page-head">
        <h1>Pipeline</h1>
        <Show when={query.data()}>{(data) => <Versions detail={data()} />}</Show>
      </div>
      <Show when={query.failure()}>
        {(failure) => (
          <Notice tone="warn" title="The state of the pipeline cannot be read.">
            {failure().message}
            <Show when={query.atMs()}>
              {(at) => <> Below is what it was {formatDuration(ageSeconds(at()))} ago.</>}
            </Show>
          </Notice>
        )}
      </Show>
      <Show
        when={query.data()}
        fallback={
          <section class="panel">
            <Blank title={query.failure() ? "No figures yet" : "Loading the state of the pipeline"} />
          </section>
        }
      >
        {(data) => (
          <>
            <Verdict detail={data()} />
            <Flow detail={data()} />
            <PipelineFigures detail={data()} />
            <div class="pipeline-grid">
              <BatchesPanel detail={data()} />
              <StoragePanel detail={data()} />
              <CostPanel />
              <Show when={data().mqtt}>{(mqtt) => <MqttPanel mqtt={mqtt()} />}</Show>
              <DeadLettersPanel letters={data().dead_letters} />
            </div>
          </>
        )}
      </Show>
    </div>
  );
}

function Versions(props: { detail: PipelineDetail }): JSX.Element {
  return (
    <p class="panel-note">
      Sluice {props.detail.version}, up {formatDuration(props.detail.uptime_seconds)}
      <Show when={props.detail.clickhouse_version}>, ClickHouse {props.detail.clickhouse_version}</Show>
    </p>
  );
}
