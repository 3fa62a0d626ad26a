import { createSignal, type JSX, onMount, Show } from "solid-js";
import { createStore } from "solid-js/store";
import type { Channel, ChannelKind, CreatedChannel, StoredChannel } from "../../../../contract/alerts.ts";
import type { ApiFailure } from "../../api/api.ts";
import { useApp } from "../../app/context.tsx";
import { Notice } from "../../ui/notice.tsx";
import { FailureNotice } from "./failure-notice.tsx";
import { ChoiceField, TextField } from "./field.tsx";

export const kindWords: Record<ChannelKind, string> = {
  webhook: "Webhook",
  alertmanager: "Alertmanager",
  slack: "Slack",
  discord: "Discord",
  ntfy: "ntfy",
  email: "E-mail",
  web_push: "Push to browsers",
};
const kinds = Object.entries(kindWords) as [ChannelKind, string][];

export function ChannelDialog(props: {
  channel: StoredChannel | undefined;
  /** The service can send e-mail. */
  email: boolean;
  onClose(changed: boolean): void;
}): JSX.Element {
  const { api } = useApp();
  const [form, setForm] = createStore({
    name: props.channel?.name ?? "",
    kind: props.channel?.kind ?? ("webhook" as ChannelKind),
    url: props.channel?.url ?? "",
    to: props.channel?.to ?? "",
    secret: "",
    resolved: props.channel?.send_resolved ?? true,
    enabled: props.channel?.enabled ?? true,
  });
  const [failure, setFailure] = createSignal<ApiFailure>();
  const [madeSecret, setMadeSecret] = createSignal<string>();
  let dialog!: HTMLDialogElement;
  let saved = false;
  onMount(() => dialog.showModal());
  const needsUrl = (): boolean => form.kind !== "email" && form.kind !== "web_push";
  const save = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const body: Channel = {
      name: form.name.trim(),
      kind: form.kind,
      ...(needsUrl() ? { url: form.url.trim() } : {}),
      ...(form.kind === "email" ? { to: form.to.trim() } : {}),
      ...(form.secret === "" ? {} : { secret: form.secret }),
      send_resolved: form.resolved,
      enabled: form.enabled,
      ...(props.channel?.grouping ? { grouping: props.channel.grouping } : {}),
    };
    const answer = props.channel
      ? await api.change<CreatedChannel>("PUT", `/api/alerts/channels/${encodeURIComponent(props.channel.id)}`, body)
      : await api.change<CreatedChannel>("POST", "/api/alerts/channels", body);
    setFailure(answer.ok ? undefined : answer);
    if (!answer.ok) return;
    saved = true;
    if (answer.data.secret) setMadeSecret(answer.data.secret);
    else dialog.close();
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="channel-title" onClose={() => props.onClose(saved)}>
      <h2 id="channel-title">{props.channel ? `Channel ${props.channel.name}` : "New channel"}</h2>
      <Show when={!madeSecret()} fallback={<MadeSecret secret={madeSecret() ?? ""} onDone={() => dialog.close()} />}>
        <form class="rule-fields" onSubmit={(event) => void save(event)}>
          <TextField label="Name" value={form.name} onInput={(name) => setForm({ name })} />
          <ChoiceField label="Kind" value={form.kind} options={kinds} onChange={(kind) => setForm({ kind })} />
          <Show when={needsUrl()}>
            <TextField
              label="URL"
              value={form.url}
              placeholder={form.kind === "alertmanager" ? "http://alertmanager:9093" : "https://…"}
              onInput={(url) => setForm({ url })}
            />
          </Show>
          <Show when={form.kind === "email"}>
            <TextField
              label="To"
              value={form.to}
              placeholder="oncall@example.org"
              hint={props.email ? "Separate several addresses with commas" : "Set SMTP_URL to send e-mail"}
              onInput={(to) => setForm({ to })}
            />
          </Show>
          <Show when={form.kind === "webhook" || form.kind === "ntfy"}>
            <TextField
              label="Secret"
              value={form.secret}
              placeholder={props.channel?.has_secret ? "unchanged" : "one is made when this is empty"}
              onInput={(secret) => setForm({ secret })}
            />
          </Show>
          <label class="check">
            <input
              type="checkbox"
              checked={form.resolved}
              onChange={(event) => setForm({ resolved: event.currentTarget.checked })}
            />
            Say when an alert is resolved
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={form.enabled}
              onChange={(event) => setForm({ enabled: event.currentTarget.checked })}
            />
            The channel is on
          </label>
          <FailureNotice failure={failure()} title="The channel was not saved." />
          <div class="button-group">
            <button type="submit" class="button primary">
              Save
            </button>
            <button type="button" class="button" onClick={() => dialog.close()}>
              Cancel
            </button>
          </div>
        </form>
      </Show>
    </dialog>
  );
}

function MadeSecret(props: { secret: string; onDone(): void }): JSX.Element {
  return (
    <div class="rule-fields">
      <Notice tone="info" title="Copy the secret now.">
        The receiver checks signatures with it. It is not shown again.
      </Notice>
      <code class="secret">{props.secret}</code>
      <button type="button" class="button primary" onClick={() => props.onDone()}>
        Done
      </button>
    </div>
  );
}
