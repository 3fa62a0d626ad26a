import { For, type JSX, Show } from "solid-js";
import type { Severity } from "../../../../contract/alerts.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { ChoiceField, TextField } from "./field.tsx";
import type { FieldsProps } from "./rule-condition-fields.tsx";

const severities: readonly (readonly [Severity, string])[] = [
  ["info", "Info"],
  ["warning", "Warning"],
  ["critical", "Critical"],
];

/** How long the condition has to hold, how severe it is, and who is told in which words. */
export function ResponseFields(props: FieldsProps): JSX.Element {
  const { draft } = props;
  return (
    <>
      <div class="form-row">
        <ChoiceField
          label="Severity"
          value={draft.severity}
          options={severities}
          onChange={(severity) => props.change({ severity })}
        />
        <TextField
          label="Fires after"
          value={draft.for}
          placeholder="at once"
          hint="The condition must hold this long"
          fault={props.fault("for")}
          onInput={(duration) => props.change({ for: duration })}
        />
        <TextField
          label="Keeps firing for"
          value={draft.keepFiringFor}
          placeholder="0s"
          hint="After the condition has ended"
          fault={props.fault("keepFiringFor")}
          onInput={(keepFiringFor) => props.change({ keepFiringFor })}
        />
      </div>
      <TextField
        label="Message"
        value={draft.message}
        placeholder="{{device_id}} is at {{value}}"
        hint="{{device_id}}, {{group}}, {{value}}, {{rule}}, {{severity}} and {{meta.KEY}} are filled in"
        onInput={(message) => props.change({ message })}
      />
      <TextField
        label="Runbook link"
        value={draft.runbook}
        placeholder="https://…"
        onInput={(runbook) => props.change({ runbook })}
      />
      <ChannelChoice {...props} />
      <label class="check">
        <input
          type="checkbox"
          checked={draft.enabled}
          onChange={(event) => props.change({ enabled: event.currentTarget.checked })}
        />
        The rule is on
      </label>
    </>
  );
}

function ChannelChoice(props: FieldsProps): JSX.Element {
  const { api } = useApp();
  const channels = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/alerts/channels", {}, signal),
  );
  const chosen = (name: string): boolean => props.draft.channels?.includes(name) ?? true;
  const toggle = (name: string, on: boolean): void => {
    const all = (channels.data()?.channels ?? []).map((channel) => channel.name);
    const next = all.filter((each) => (each === name ? on : chosen(each)));
    props.change({ channels: next.length === all.length ? undefined : next });
  };
  return (
    <fieldset class="channel-choice">
      <legend>Tell</legend>
      <Show
        when={(channels.data()?.channels.length ?? 0) > 0}
        fallback={<p class="form-hint">There is no channel yet: the rule shows on this page alone.</p>}
      >
        <For each={channels.data()?.channels}>
          {(channel) => (
            <label class="check">
              <input
                type="checkbox"
                checked={chosen(channel.name)}
                onChange={(event) => toggle(channel.name, event.currentTarget.checked)}
              />
              {channel.name}
            </label>
          )}
        </For>
      </Show>
    </fieldset>
  );
}
