import { Index, type JSX, Show } from "solid-js";
import type { PipelineDetail } from "../../../../contract/read.ts";
import { createClockWords } from "../../app/clock-words.ts";
import { formatBytes, formatCount } from "../../ui/format.ts";

/** What went wrong last, and what ClickHouse holds. */
export function StoragePanel(props: { detail: PipelineDetail }): JSX.Element {
  const clock = createClockWords();
  return (
    <section class="panel" aria-labelledby="error-title">
      <div class="panel-head">
        <h2 id="error-title">Last error</h2>
      </div>
      <div class="panel-body">
        <Show when={props.detail.last_error} fallback={<p class="panel-note">None since the start.</p>}>
          {(error) => (
            <>
              <p class="error-text">{error().message}</p>
              <p class="panel-note">
                {clock.full(error().at)}, {clock.ago(error().at)}
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
        when={props.detail.parts}
        fallback={<p class="panel-body panel-note">Not known while ClickHouse is unavailable.</p>}
      >
        {(parts) => <PartsTable parts={parts()} />}
      </Show>
    </section>
  );
}

function PartsTable(props: { parts: NonNullable<PipelineDetail["parts"]> }): JSX.Element {
  return (
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
          <Index each={props.parts}>
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
  );
}
