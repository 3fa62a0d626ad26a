import { createSignal, For, type JSX, lazy, Show, Suspense } from "solid-js";
import type { StoredRule } from "../../../../contract/alerts.ts";
import type { ApiFailure } from "../../api/api.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { Blank } from "../../ui/notice.tsx";
import { SeverityMark } from "../../ui/severity-mark.tsx";
import { FailureNotice } from "./failure-notice.tsx";
import { ReadyMade } from "./ready-made.tsx";
import { describeCondition } from "./rule-draft.ts";

const RuleEditor = lazy(() => import("./rule-editor.tsx"));

/** Which rule is edited is in the URL, so that a link to a rule can be sent. */
export function RuleList(): JSX.Element {
  const { api, router } = useApp();
  const [failure, setFailure] = createSignal<ApiFailure>();
  const query = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/alerts/rules", {}, signal),
    { everyMs: 10_000 },
  );
  const edit = (id: string | undefined): void => router.setParams({ rule: id }, { push: true });
  const edited = (): StoredRule | undefined => query.data()?.rules.find(({ id }) => id === router.param("rule"));
  const editing = (): boolean => router.param("rule") === "new" || edited() !== undefined;
  const remove = async (rule: StoredRule): Promise<void> => {
    if (!confirm(`Delete the rule “${rule.name}”? What it fires now ends without a message.`)) return;
    const answer = await api.change("DELETE", `/api/alerts/rules/${encodeURIComponent(rule.id)}`);
    setFailure(answer.ok ? undefined : answer);
    query.refresh();
  };
  const close = (changed: boolean): void => {
    edit(undefined);
    if (changed) query.refresh();
  };
  return (
    <>
      <FailureNotice failure={query.failure() ?? failure()} title="The rules cannot be read or changed." />
      <Show
        when={!editing()}
        fallback={
          <Suspense>
            <RuleEditor rule={edited()} onClose={close} />
          </Suspense>
        }
      >
        <section class="panel">
          <div class="panel-head">
            <h2>Rules</h2>
            <button type="button" class="button primary push" onClick={() => edit("new")}>
              New rule
            </button>
          </div>
          <Show
            when={query.data()}
            fallback={
              <Show when={!query.failure()}>
                <Blank title="Loading the rules" />
              </Show>
            }
          >
            {(data) => (
              <Show
                when={data().rules.length > 0}
                fallback={
                  <Blank title="No rules yet">
                    <ReadyMade onAdded={() => query.refresh()} />
                  </Blank>
                }
              >
                <ul class="alert-list">
                  <For each={data().rules}>
                    {(rule) => <RuleRow rule={rule} onEdit={() => edit(rule.id)} onDelete={() => void remove(rule)} />}
                  </For>
                </ul>
              </Show>
            )}
          </Show>
        </section>
      </Show>
    </>
  );
}

function RuleRow(props: { rule: StoredRule; onEdit(): void; onDelete(): void }): JSX.Element {
  const fixed = (): boolean => props.rule.source === "file";
  return (
    <li class="alert-row" data-silenced={props.rule.enabled === false || undefined}>
      <SeverityMark severity={props.rule.severity} />
      <div class="alert-what">
        <strong>{props.rule.name}</strong>
        <span class="panel-note">{describeCondition(props.rule.when)}</span>
      </div>
      <span class="num alert-value">
        {props.rule.enabled === false ? "off" : `${props.rule.firing} of ${props.rule.series} firing`}
      </span>
      <span class="alert-state">
        <Show when={props.rule.skipped_series > 0}>{props.rule.skipped_series} series left out: limit reached. </Show>
        <Show when={fixed()}>from ALERTS_FILE</Show>
      </span>
      <span class="button-group">
        <button type="button" class="button" aria-label={`Edit ${props.rule.name}`} onClick={() => props.onEdit()}>
          {fixed() ? "View" : "Edit"}
        </button>
        <Show when={!fixed()}>
          <button
            type="button"
            class="button"
            aria-label={`Delete ${props.rule.name}`}
            onClick={() => props.onDelete()}
          >
            Delete
          </button>
        </Show>
      </span>
    </li>
  );
}
