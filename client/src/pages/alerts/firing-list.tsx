import { createSignal, For, type JSX, Show } from "solid-js";
import type { Alert } from "../../../../contract/alerts.ts";
import type { ApiFailure } from "../../api/api.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { devicePath } from "../../app/router.ts";
import { formatAge, formatValue } from "../../ui/format.ts";
import { Blank } from "../../ui/notice.tsx";
import { SeverityMark } from "../../ui/severity-mark.tsx";
import { FailureNotice } from "./failure-notice.tsx";
import { ReadyMade } from "./ready-made.tsx";
import { SilenceDialog } from "./silence-dialog.tsx";

const stateWords: Record<Alert["state"], string> = {
  pending: "Pending",
  firing: "Firing",
  recovering: "Recovering",
  stale: "Stale: the device is silent",
};

/** Everything that fires, worst first. The stream says when it changes; the list is then read again, up to its own limit. */
export function FiringList(): JSX.Element {
  const { api, live } = useApp();
  const [muting, setMuting] = createSignal<Alert>();
  const [failure, setFailure] = createSignal<ApiFailure>();
  const query = createQuery(
    () => live.alerts(),
    (_, signal) => api.get("/api/alerts", {}, signal),
    { everyMs: 10_000 },
  );
  const acknowledge = async (alert: Alert): Promise<void> => {
    const method = alert.acknowledged ? "DELETE" : "POST";
    const answer = await api.change(
      method,
      `/api/alerts/${encodeURIComponent(alert.id)}/acknowledge`,
      alert.acknowledged ? undefined : {},
    );
    setFailure(answer.ok ? undefined : answer);
    query.refresh();
  };
  return (
    <>
      <FailureNotice failure={query.failure()} title="The alerts cannot be read." />
      <FailureNotice failure={failure()} title="The alert was not changed." />
      <section class="panel">
        <Show
          when={query.data()}
          fallback={
            <Show when={!query.failure()}>
              <Blank title="Loading the alerts" />
            </Show>
          }
        >
          {(data) => (
            <Show when={data().alerts.length > 0} fallback={<NothingFires />}>
              <ul class="alert-list">
                <For each={data().alerts}>
                  {(alert) => <AlertRow alert={alert} onMute={setMuting} onAcknowledge={acknowledge} />}
                </For>
              </ul>
              <Show when={data().total > data().alerts.length}>
                <p class="panel-foot">
                  The {data().alerts.length} worst of {data().total} are shown.
                </p>
              </Show>
            </Show>
          )}
        </Show>
      </section>
      <Show when={muting()} keyed>
        {(alert) => (
          <SilenceDialog
            matchers={{ rule: alert.rule, ...(alert.device_id ? { device_id: alert.device_id } : {}) }}
            onClose={(changed) => {
              setMuting(undefined);
              if (changed) query.refresh();
            }}
          />
        )}
      </Show>
    </>
  );
}

function NothingFires(): JSX.Element {
  const { api } = useApp();
  const rules = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/alerts/rules", {}, signal),
  );
  return (
    <Blank title="Nothing is firing">
      <Show when={rules.data()}>
        {(data) => (
          <Show when={data().total > 0} fallback={<ReadyMade onAdded={() => rules.refresh()} />}>
            <p>
              {data().total} {data().total === 1 ? "rule is" : "rules are"} being watched.
            </p>
          </Show>
        )}
      </Show>
    </Blank>
  );
}

function AlertRow(props: { alert: Alert; onMute(alert: Alert): void; onAcknowledge(alert: Alert): void }): JSX.Element {
  const { live, router } = useApp();
  const age = (): string => {
    const words = formatAge((live.nowMs() + live.clockOffsetMs() - Date.parse(props.alert.since)) / 1000);
    return words === "now" ? "just now" : `${words} ago`;
  };
  const value = (): string => {
    const { value: given } = props.alert;
    return typeof given === "number" ? formatValue(given) : (given ?? "");
  };
  return (
    <li class="alert-row" data-silenced={props.alert.silenced || undefined}>
      <SeverityMark severity={props.alert.severity} />
      <div class="alert-what">
        <strong>{props.alert.message}</strong>
        <span class="panel-note">
          {props.alert.rule}
          <Show when={props.alert.device_id}>
            {(id) => (
              <>
                {" · "}
                <a href={router.href(devicePath(id()))}>{id()}</a>
              </>
            )}
          </Show>
          <Show when={props.alert.group}>{(group) => <> · {group()}</>}</Show>
        </span>
      </div>
      <span class="num alert-value">{value()}</span>
      <span class="alert-state">
        {stateWords[props.alert.state]}, {age()}
        <Show when={props.alert.silenced}> · muted</Show>
        <Show when={props.alert.acknowledged}>{(by) => <> · acknowledged by {by().by}</>}</Show>
      </span>
      <span class="button-group">
        <Show when={props.alert.runbook}>
          {(link) => (
            <a class="button" href={link()} target="_blank" rel="noopener noreferrer">
              Runbook
            </a>
          )}
        </Show>
        <button type="button" class="button" onClick={() => props.onAcknowledge(props.alert)}>
          {props.alert.acknowledged ? "Take back" : "Acknowledge"}
        </button>
        <button type="button" class="button" onClick={() => props.onMute(props.alert)}>
          Mute
        </button>
      </span>
    </li>
  );
}
