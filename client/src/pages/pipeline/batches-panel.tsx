import { Index, type JSX, Show } from "solid-js";
import type { PipelineDetail } from "../../../../contract/read.ts";
import { createClockWords } from "../../app/clock-words.ts";
import { formatBytes, formatCompact, formatCount, formatDuration } from "../../ui/format.ts";

function median(values: number[]): number | null {
  const sorted = values.sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}

/** The last batches: how large they were, and how long ClickHouse took. */
export function BatchesPanel(props: { detail: PipelineDetail }): JSX.Element {
  const clock = createClockWords();
  const batches = () => props.detail.batches;
  const newest = () => batches().at(-1);
  return (
    <section class="panel" aria-labelledby="batches-title">
      <div class="panel-head">
        <h2 id="batches-title">Batches</h2>
        <span class="panel-note">
          <Show when={newest()} fallback="none yet">
            {(batch) => (
              <>
                the last {batches().length}; newest {clock.ago(batch().stored_at)}
              </>
            )}
          </Show>
        </span>
      </div>
      <div class="panel-body bars-pair">
        <Bars
          label="Rows in a batch"
          values={batches().map((batch) => batch.rows)}
          format={formatCompact}
          summary={`median ${formatCount(median(batches().map((batch) => batch.rows)))}, ${formatBytes(median(batches().map((batch) => batch.bytes)))}`}
        />
        <Bars
          label="Insert time"
          values={batches().map((batch) => batch.insert_seconds)}
          marks={batches().map((batch) => batch.attempts > 1)}
          format={formatDuration}
          summary={`median ${formatDuration(median(batches().map((batch) => batch.insert_seconds)))}; hatched: more than one attempt`}
        />
      </div>
    </section>
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
