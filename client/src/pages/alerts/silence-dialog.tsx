import { createSignal, type JSX, onMount, Show } from "solid-js";
import { createStore } from "solid-js/store";
import type { Silence } from "../../../../contract/alerts.ts";
import type { ApiFailure } from "../../api/api.ts";
import { useApp } from "../../app/context.tsx";
import { FailureNotice } from "./failure-notice.tsx";
import { ChoiceField, TextField } from "./field.tsx";

const lengths = [
  ["1", "1 hour"],
  ["4", "4 hours"],
  ["8", "8 hours"],
  ["24", "1 day"],
  ["168", "1 week"],
] as const;

/** Mutes what matches for a time, or again and again inside a maintenance window. */
export function SilenceDialog(props: {
  matchers: Record<string, string>;
  onClose(changed: boolean): void;
}): JSX.Element {
  const { api, live } = useApp();
  const [form, setForm] = createStore({
    rule: props.matchers.rule ?? "",
    device: props.matchers.device_id ?? "",
    site: "",
    hours: "4" as (typeof lengths)[number][0],
    comment: "",
    start: "",
    duration: "1h",
  });
  const [failure, setFailure] = createSignal<ApiFailure>();
  let dialog!: HTMLDialogElement;
  let saved = false;
  onMount(() => dialog.showModal());
  const matchers = (): Record<string, string> => ({
    ...(form.rule === "" ? {} : { rule: form.rule }),
    ...(form.device === "" ? {} : { device_id: form.device }),
    ...(form.site === "" ? {} : { "meta.site": form.site }),
  });
  const save = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const silence: Silence = {
      matchers: matchers(),
      to: new Date(Date.now() + live.clockOffsetMs() + Number(form.hours) * 3_600_000).toISOString(),
      ...(form.comment === "" ? {} : { comment: form.comment }),
      ...(form.start === "" ? {} : { repeats: { start: form.start, duration: form.duration } }),
    };
    const answer = await api.change("POST", "/api/alerts/silences", silence);
    setFailure(answer.ok ? undefined : answer);
    if (!answer.ok) return;
    saved = true;
    dialog.close();
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="silence-title" onClose={() => props.onClose(saved)}>
      <h2 id="silence-title">Mute alerts</h2>
      <form class="rule-fields" onSubmit={(event) => void save(event)}>
        <TextField
          label="Rule"
          value={form.rule}
          placeholder="any; * at the end stands for anything"
          onInput={(rule) => setForm({ rule })}
        />
        <TextField
          label="Device"
          value={form.device}
          placeholder="any; site1-* for a prefix"
          onInput={(device) => setForm({ device })}
        />
        <TextField label="Site (metadata)" value={form.site} placeholder="any" onInput={(site) => setForm({ site })} />
        <ChoiceField label="For" value={form.hours} options={lengths} onChange={(hours) => setForm({ hours })} />
        <div class="form-row">
          <TextField
            label="Only daily from"
            value={form.start}
            placeholder="02:00 UTC"
            hint="Leave empty to mute all the time"
            onInput={(start) => setForm({ start })}
          />
          <Show when={form.start !== ""}>
            <TextField label="For" value={form.duration} onInput={(duration) => setForm({ duration })} />
          </Show>
        </div>
        <TextField label="Comment" value={form.comment} onInput={(comment) => setForm({ comment })} />
        <FailureNotice failure={failure()} title="Nothing was muted." />
        <div class="button-group">
          <button type="submit" class="button primary" disabled={Object.keys(matchers()).length === 0}>
            Mute
          </button>
          <button type="button" class="button" onClick={() => dialog.close()}>
            Cancel
          </button>
        </div>
      </form>
    </dialog>
  );
}
