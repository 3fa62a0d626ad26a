import { createSignal, For, type JSX, Show } from "solid-js";
import type { ChannelTest, StoredChannel } from "../../../../contract/alerts.ts";
import type { ApiFailure } from "../../api/api.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { Blank } from "../../ui/notice.tsx";
import { ChannelDialog, kindWords } from "./channel-dialog.tsx";
import { FailureNotice } from "./failure-notice.tsx";
import { PushSwitch } from "./push-switch.tsx";

const statusWords: Record<StoredChannel["status"], string> = {
  ok: "Delivers",
  failing: "Failing",
  disabled: "Disabled",
  unused: "Not used yet",
};

/** Where messages go. Secrets are written here and never read back. */
export function ChannelList(): JSX.Element {
  const { api } = useApp();
  const [edited, setEdited] = createSignal<StoredChannel | "new">();
  const [failure, setFailure] = createSignal<ApiFailure>();
  const query = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/alerts/channels", {}, signal),
    { everyMs: 5_000 },
  );
  const remove = async (channel: StoredChannel): Promise<void> => {
    if (!confirm(`Delete the channel “${channel.name}”? Messages that wait for it are dropped.`)) return;
    const answer = await api.change("DELETE", `/api/alerts/channels/${encodeURIComponent(channel.id)}`);
    setFailure(answer.ok ? undefined : answer);
    query.refresh();
  };
  return (
    <>
      <FailureNotice failure={query.failure() ?? failure()} title="The channels cannot be read or changed." />
      <PushSwitch />
      <section class="panel">
        <div class="panel-head">
          <h2>Channels</h2>
          <button type="button" class="button primary push" onClick={() => setEdited("new")}>
            New channel
          </button>
        </div>
        <Show
          when={(query.data()?.channels.length ?? 0) > 0}
          fallback={
            <Show when={!query.failure()}>
              <Blank title={query.data() ? "No channel yet" : "Loading the channels"}>
                <p>
                  A channel is where messages go: a webhook, Slack, Discord, ntfy, e-mail, Alertmanager or this browser.
                </p>
              </Blank>
            </Show>
          }
        >
          <ul class="alert-list">
            <For each={query.data()?.channels}>
              {(channel) => (
                <ChannelRow channel={channel} onEdit={() => setEdited(channel)} onDelete={() => void remove(channel)} />
              )}
            </For>
          </ul>
        </Show>
      </section>
      <Show when={edited()} keyed>
        {(channel) => (
          <ChannelDialog
            channel={channel === "new" ? undefined : channel}
            email={query.data()?.email ?? false}
            onClose={(changed) => {
              setEdited(undefined);
              if (changed) query.refresh();
            }}
          />
        )}
      </Show>
    </>
  );
}

function ChannelRow(props: { channel: StoredChannel; onEdit(): void; onDelete(): void }): JSX.Element {
  const { api } = useApp();
  const [test, setTest] = createSignal<string>();
  const send = async (): Promise<void> => {
    setTest("Sending a test");
    const answer = await api.change<ChannelTest>(
      "POST",
      `/api/alerts/channels/${encodeURIComponent(props.channel.id)}/test`,
    );
    setTest(answer.ok ? answer.data.message : answer.message);
  };
  const tone = (): string =>
    ({ ok: "ok", failing: "warning", disabled: "critical", unused: "none" })[props.channel.status];
  return (
    <li class="alert-row">
      <span class="severity" data-severity={tone()}>
        <i aria-hidden="true" />
        {statusWords[props.channel.status]}
      </span>
      <div class="alert-what">
        <strong>{props.channel.name}</strong>
        <span class="panel-note">
          {kindWords[props.channel.kind]}
          <Show when={props.channel.url ?? props.channel.to}>{(place) => <> · {place()}</>}</Show>
          <Show when={props.channel.last_error}>{(error) => <> · last error: {error().message}</>}</Show>
        </span>
      </div>
      <span class="alert-state" role="status">
        {test() ?? `${props.channel.delivered} delivered, ${props.channel.waiting} waiting`}
      </span>
      <span class="button-group">
        <button
          type="button"
          class="button"
          aria-label={`Send a test to ${props.channel.name}`}
          onClick={() => void send()}
        >
          Send a test
        </button>
        <Show when={props.channel.source === "api"} fallback={<span class="panel-note">from ALERTS_FILE</span>}>
          <button type="button" class="button" aria-label={`Edit ${props.channel.name}`} onClick={() => props.onEdit()}>
            Edit
          </button>
          <button
            type="button"
            class="button"
            aria-label={`Delete ${props.channel.name}`}
            onClick={() => props.onDelete()}
          >
            Delete
          </button>
        </Show>
      </span>
    </li>
  );
}
