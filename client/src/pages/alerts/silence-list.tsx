import { createSignal, For, type JSX, Show } from "solid-js";
import type { StoredSilence } from "../../../../contract/alerts.ts";
import type { ApiFailure } from "../../api/api.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { formatTime } from "../../ui/format.ts";
import { Blank } from "../../ui/notice.tsx";
import { FailureNotice } from "./failure-notice.tsx";
import { SilenceDialog } from "./silence-dialog.tsx";

/** Silences mute messages, never states. */
export function SilenceList(): JSX.Element {
  const { api } = useApp();
  const [adding, setAdding] = createSignal(false);
  const [failure, setFailure] = createSignal<ApiFailure>();
  const query = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/alerts/silences", {}, signal),
    { everyMs: 10_000 },
  );
  const end = async (silence: StoredSilence): Promise<void> => {
    const answer = await api.change("DELETE", `/api/alerts/silences/${encodeURIComponent(silence.id)}`);
    setFailure(answer.ok ? undefined : answer);
    query.refresh();
  };
  return (
    <>
      <FailureNotice failure={query.failure() ?? failure()} title="The silences cannot be read or changed." />
      <section class="panel">
        <div class="panel-head">
          <h2>Silences</h2>
          <p class="panel-note">They mute messages. Alerts still show on this page.</p>
          <button type="button" class="button primary push" onClick={() => setAdding(true)}>
            New silence
          </button>
        </div>
        <Show
          when={(query.data()?.silences.length ?? 0) > 0}
          fallback={
            <Show when={!query.failure()}>
              <Blank title={query.data() ? "Nothing is muted" : "Loading the silences"} />
            </Show>
          }
        >
          <ul class="alert-list">
            <For each={query.data()?.silences}>
              {(silence) => <SilenceRow silence={silence} onEnd={() => void end(silence)} />}
            </For>
          </ul>
        </Show>
      </section>
      <Show when={adding()}>
        <SilenceDialog
          matchers={{}}
          onClose={(changed) => {
            setAdding(false);
            if (changed) query.refresh();
          }}
        />
      </Show>
    </>
  );
}

function SilenceRow(props: { silence: StoredSilence; onEnd(): void }): JSX.Element {
  const { preferences } = useApp();
  const matchers = (): string =>
    Object.entries(props.silence.matchers)
      .map(([name, value]) => `${name} = ${value}`)
      .join(", ");
  const time = (iso: string): string => formatTime(Date.parse(iso), preferences.zone(), "minute_of_day");
  return (
    <li class="alert-row">
      <span class="severity" data-severity={props.silence.active ? "info" : "none"}>
        <i aria-hidden="true" />
        {props.silence.active ? "Active" : "Waiting"}
      </span>
      <div class="alert-what">
        <strong>{matchers()}</strong>
        <span class="panel-note">
          {props.silence.comment} {props.silence.created_by === "" ? "" : `by ${props.silence.created_by}`}
        </span>
      </div>
      <span class="alert-state">
        {time(props.silence.from)} to {time(props.silence.to)}
        <Show when={props.silence.repeats}>
          {(repeats) => (
            <>
              , {repeats().days?.join(" ") ?? "every day"} at {repeats().start} for {repeats().duration}
            </>
          )}
        </Show>
      </span>
      <span class="button-group">
        <Show when={props.silence.source === "api"} fallback={<span class="panel-note">from ALERTS_FILE</span>}>
          <button
            type="button"
            class="button"
            aria-label={`End the silence of ${matchers()}`}
            onClick={() => props.onEnd()}
          >
            End
          </button>
        </Show>
      </span>
    </li>
  );
}
