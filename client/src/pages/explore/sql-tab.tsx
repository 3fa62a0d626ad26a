import "./sql-tab.css";
import { createSignal, For, type JSX, Show } from "solid-js";
import type { SqlAnswer } from "../../../../contract/sql.ts";
import type { ApiFailure } from "../../api/api.ts";
import { useApp } from "../../app/context.tsx";
import { saveFile } from "../../ui/csv.ts";
import { formatBytes, formatCount, formatDuration } from "../../ui/format.ts";
import { Notice } from "../../ui/notice.tsx";
import { SqlChart } from "./sql-chart.tsx";
import { sqlCsv, sqlSeries, sqlText } from "./sql-result.ts";

const rowsMax = 1_000;

const examples: readonly { label: string; query: string }[] = [
  {
    label: "Events a minute",
    query: `SELECT toStartOfMinute(time) AS minute, sum(event_count) AS events
FROM telemetry_1m
WHERE time > now() - INTERVAL 6 HOUR
GROUP BY minute ORDER BY minute`,
  },
  {
    label: "Busiest devices",
    query: `SELECT device_id, sum(event_count) AS events, max(last_seen) AS seen
FROM devices
GROUP BY device_id ORDER BY events DESC LIMIT 20`,
  },
  {
    label: "Newest events",
    query: "SELECT * FROM telemetry_events ORDER BY timestamp DESC LIMIT 50",
  },
];

/** Questions that no page answers, put to ClickHouse directly. Read-only, ten seconds, as many rows as the page can hold. */
export function SqlTab(): JSX.Element {
  const { api, router } = useApp();
  const [query, setQuery] = createSignal(router.param("sql") || (examples[0]?.query ?? ""));
  const [answer, setAnswer] = createSignal<SqlAnswer>();
  const [failure, setFailure] = createSignal<ApiFailure>();
  const [running, setRunning] = createSignal(false);
  const run = async (): Promise<void> => {
    router.setParams({ sql: query() });
    setRunning(true);
    const result = await api.change<SqlAnswer>("POST", "/api/sql", { query: query(), limit: rowsMax });
    setRunning(false);
    setFailure(result.ok ? undefined : result);
    if (result.ok) setAnswer(result.data);
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    void run();
  };
  return (
    <section class="panel" aria-label="SQL">
      <div class="panel-body sql-ask">
        <label for="sql-query" class="panel-note">
          One SELECT over telemetry_events, telemetry_1s, telemetry_1m, telemetry_1h, devices and device_changes
        </label>
        <textarea
          id="sql-query"
          spellcheck={false}
          rows="6"
          value={query()}
          onInput={(event) => setQuery(event.currentTarget.value)}
          onKeyDown={onKey}
        />
        <div class="toolbar">
          <button type="button" class="button primary" disabled={running()} onClick={() => void run()}>
            {running() ? "Running" : "Run"}
          </button>
          <span class="panel-note">Ctrl + Enter</span>
          <For each={examples}>
            {(example) => (
              <button type="button" class="link" onClick={() => setQuery(example.query)}>
                {example.label}
              </button>
            )}
          </For>
        </div>
      </div>
      <Show when={failure()}>
        {(fault) => (
          <Notice tone="bad" title="ClickHouse refused the query.">
            {fault().message}
          </Notice>
        )}
      </Show>
      <Show when={answer()}>{(given) => <SqlResult answer={given()} />}</Show>
    </section>
  );
}

function SqlResult(props: { answer: SqlAnswer }): JSX.Element {
  const series = () => sqlSeries(props.answer);
  const numeric = (type: string): boolean => /^(Nullable\()?(U?Int|Float|Decimal)/.test(type);
  const save = (): void => saveFile(sqlCsv(props.answer), "sluice-query.csv", "text/csv");
  return (
    <>
      <div class="panel-head">
        <p class="panel-note" role="status">
          {formatCount(props.answer.rows)} {props.answer.rows === 1 ? "row" : "rows"} in{" "}
          {formatDuration(props.answer.statistics.elapsed)}, {formatCount(props.answer.statistics.rows_read)} rows and{" "}
          {formatBytes(props.answer.statistics.bytes_read)} read
          <Show when={props.answer.truncated}>; there are more rows than the {formatCount(rowsMax)} shown</Show>
        </p>
        <button type="button" class="button push" onClick={save}>
          CSV
        </button>
      </div>
      <Show when={series()} keyed>
        {(drawn) => <SqlChart series={drawn} />}
      </Show>
      <section class="table-scroll sql-table" tabindex="0" aria-label="Result, scrolls">
        <table>
          <thead>
            <tr>
              <For each={props.answer.meta}>
                {({ name, type }) => (
                  <th scope="col" class={numeric(type) ? "num" : undefined} title={type}>
                    {name}
                  </th>
                )}
              </For>
            </tr>
          </thead>
          <tbody>
            <For each={props.answer.data}>
              {(row) => (
                <tr>
                  <For each={row}>
                    {(cell, index) => (
                      <td class={numeric(props.answer.meta[index()]?.type ?? "") ? "num" : undefined}>
                        {sqlText(cell)}
                      </td>
                    )}
                  </For>
                </tr>
              )}
            </For>
          </tbody>
        </table>
      </section>
    </>
  );
}
