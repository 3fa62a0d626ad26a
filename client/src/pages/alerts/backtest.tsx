import { createEffect, createSignal, For, type JSX, lazy, on, onCleanup, Show, Suspense } from "solid-js";
import type { Rule, RuleTestResult } from "../../../../contract/alerts.ts";
import type { ApiFailure } from "../../api/api.ts";
import { useApp } from "../../app/context.tsx";
import { formatDuration, formatTime, formatValue } from "../../ui/format.ts";
import { FailureNotice } from "./failure-notice.tsx";
import type { DraftResult } from "./rule-draft.ts";

const RuleChart = lazy(() => import("./rule-chart.tsx"));

/** A moment after the last key, so that a word being typed is not asked about letter by letter. */
const restMs = 500;
const weekMs = 7 * 86_400_000;
const shownMax = 20;

/** What the rule would have done in the last week, by the same code that evaluates it live. */
export function Backtest(props: { result: DraftResult }): JSX.Element {
  const { api } = useApp();
  const [answer, setAnswer] = createSignal<RuleTestResult>();
  const [failure, setFailure] = createSignal<ApiFailure>();
  const [asking, setAsking] = createSignal(false);
  let running: AbortController | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const conditionKey = (): string => {
    if (!props.result.ok) return "";
    const { when, devices, for: wait, keep_firing_for } = props.result.rule;
    return JSON.stringify([when, devices, wait, keep_firing_for]);
  };
  const ask = async (rule: Rule): Promise<void> => {
    running?.abort();
    const control = new AbortController();
    running = control;
    setAsking(true);
    const to = Date.now();
    const body = { rule, from: new Date(to - weekMs).toISOString(), to: new Date(to).toISOString() };
    const result = await api.change<RuleTestResult>("POST", "/api/alerts/rules/test", body, control.signal);
    if (control.signal.aborted) return;
    setAsking(false);
    setFailure(result.ok ? undefined : result);
    if (result.ok) setAnswer(result.data);
  };
  createEffect(
    on(conditionKey, (key) => {
      clearTimeout(timer);
      if (key === "") return;
      timer = setTimeout(() => {
        if (props.result.ok) void ask(props.result.rule);
      }, restMs);
    }),
  );
  onCleanup(() => {
    clearTimeout(timer);
    running?.abort();
  });
  const verdict = (): string => {
    if (!props.result.ok) return "Fill in the condition to see what it would have done.";
    const result = answer();
    if (!result) return asking() ? "Replaying the last week" : "";
    return result.count === 0
      ? "It would not have fired in the last week."
      : `It would have fired ${result.count} ${result.count === 1 ? "time" : "times"} in the last week.`;
  };
  const drawn = (): Rule | undefined =>
    props.result.ok && props.result.rule.when.kind === "value" ? props.result.rule : undefined;

  return (
    <section class="backtest" aria-label="Backtest" aria-busy={asking()}>
      <h3>The last week</h3>
      <p class="backtest-verdict" role="status">
        {verdict()}
      </p>
      <FailureNotice failure={failure()} title="The rule could not be replayed." />
      <Show when={drawn()}>
        {(rule) => (
          <Suspense>
            <RuleChart rule={rule()} fired={answer()?.fired ?? []} />
          </Suspense>
        )}
      </Show>
      <Show when={answer()}>{(result) => <FiredList result={result()} />}</Show>
    </section>
  );
}

function FiredList(props: { result: RuleTestResult }): JSX.Element {
  const { preferences } = useApp();
  const newest = () => props.result.fired.slice(-shownMax).reverse();
  const length = (from: string, to: string | null): string =>
    to === null ? "until now" : `for ${formatDuration((Date.parse(to) - Date.parse(from)) / 1000)}`;
  return (
    <ul class="fired-list">
      <For each={newest()}>
        {({ device_id, group, from, to, value }) => (
          <li>
            <time dateTime={from}>{formatTime(Date.parse(from), preferences.zone(), "minute_of_day")}</time>
            <span class="clip">{device_id ?? group ?? "fleet"}</span>
            <span>{length(from, to)}</span>
            <b>{typeof value === "number" ? formatValue(value) : (value ?? "")}</b>
          </li>
        )}
      </For>
      <Show when={props.result.count > shownMax}>
        <li class="panel-note">and {props.result.count - shownMax} more</li>
      </Show>
    </ul>
  );
}
