import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import type { Transition } from "../../../../contract/alerts.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { devicePath } from "../../app/router.ts";
import { formatTime, formatValue } from "../../ui/format.ts";
import { Blank } from "../../ui/notice.tsx";
import { SeverityMark } from "../../ui/severity-mark.tsx";
import { FailureNotice } from "./failure-notice.tsx";

const pageSize = 200;
const words: Record<Transition["to"], string> = {
  pending: "Pending",
  firing: "Fired",
  recovering: "Recovering",
  stale: "Went stale",
  resolved: "Resolved",
  inactive: "Back to normal before it fired",
};

/** The transitions as a timeline, newest first, a heading a day. */
export function HistoryList(): JSX.Element {
  const { api, live, preferences } = useApp();
  const [cursors, setCursors] = createSignal<readonly string[]>([]);
  const query = createQuery(
    () => [cursors().at(-1), cursors().length === 0 ? live.alerts() : undefined] as const,
    ([cursor], signal) => api.get("/api/alerts/history", { limit: String(pageSize), cursor }, signal),
  );
  const days = createMemo(() => {
    const transitions = query.data()?.transitions ?? [];
    const byDay = Map.groupBy(transitions, ({ at }) => formatTime(Date.parse(at), preferences.zone(), "day"));
    return [...byDay];
  });
  return (
    <>
      <FailureNotice failure={query.failure()} title="The history cannot be read." />
      <section class="panel">
        <Show
          when={days().length > 0}
          fallback={
            <Show when={!query.failure()}>
              <Blank title={query.data() ? "Nothing has fired yet" : "Loading history"} />
            </Show>
          }
        >
          <For each={days()}>
            {([day, transitions]) => (
              <>
                <h2 class="timeline-day">{day}</h2>
                <ol class="timeline">
                  <For each={transitions}>{(transition) => <TransitionRow transition={transition} />}</For>
                </ol>
              </>
            )}
          </For>
        </Show>
        <div class="panel-foot button-group">
          <Show when={cursors().length > 0}>
            <button type="button" class="button" onClick={() => setCursors((all) => all.slice(0, -1))}>
              Newer
            </button>
          </Show>
          <Show when={query.data()?.cursor}>
            {(cursor) => (
              <button type="button" class="button" onClick={() => setCursors((all) => [...all, cursor()])}>
                Older
              </button>
            )}
          </Show>
        </div>
      </section>
    </>
  );
}

function TransitionRow(props: { transition: Transition }): JSX.Element {
  const { preferences, router } = useApp();
  const value = (): string => {
    const { value: given } = props.transition;
    return typeof given === "number" ? formatValue(given) : (given ?? "");
  };
  return (
    <li data-to={props.transition.to}>
      <time
        dateTime={props.transition.at}
        title={formatTime(Date.parse(props.transition.at), preferences.zone(), "full")}
      >
        {formatTime(Date.parse(props.transition.at), preferences.zone())}
      </time>
      <SeverityMark severity={props.transition.severity} />
      <strong>{words[props.transition.to]}</strong>
      <span class="timeline-what">
        {props.transition.rule}
        <Show when={props.transition.device_id}>
          {(id) => (
            <>
              {" · "}
              <a href={router.href(devicePath(id()))}>{id()}</a>
            </>
          )}
        </Show>
        <Show when={props.transition.group}>{(group) => <> · {group()}</>}</Show>
        <Show when={value() !== ""}> · {value()}</Show>
      </span>
    </li>
  );
}
