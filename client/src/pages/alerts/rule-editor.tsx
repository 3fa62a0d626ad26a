import { batch, createMemo, createSignal, type JSX, onMount, Show } from "solid-js";
import { createStore } from "solid-js/store";
import type { StoredRule } from "../../../../contract/alerts.ts";
import type { ApiFailure } from "../../api/api.ts";
import { useApp } from "../../app/context.tsx";
import { Notice } from "../../ui/notice.tsx";
import { Backtest } from "./backtest.tsx";
import { FailureNotice } from "./failure-notice.tsx";
import { ConditionFields } from "./rule-condition-fields.tsx";
import { draftOf, emptyDraft, type RuleDraft, ruleOf } from "./rule-draft.ts";
import { ResponseFields } from "./rule-response-fields.tsx";

/** One rule, new or changed, with what it would have done in the last week drawn beside it while it is typed. */
export default function RuleEditor(props: {
  rule: StoredRule | undefined;
  onClose(changed: boolean): void;
}): JSX.Element {
  const { api } = useApp();
  const [draft, setDraft] = createStore<RuleDraft>(props.rule ? draftOf(props.rule) : { ...emptyDraft });
  const [failure, setFailure] = createSignal<ApiFailure>();
  const [tried, setTried] = createSignal(false);
  const result = createMemo(() => ruleOf({ ...draft }));
  const fixed = (): boolean => props.rule?.source === "file";
  const change = (changes: Partial<RuleDraft>): void => batch(() => setDraft(changes));
  let first!: HTMLHeadingElement;
  onMount(() => first.focus());

  const fault = (field: keyof RuleDraft): string | undefined => {
    const now = result();
    return tried() && !now.ok && now.field === field ? now.message : undefined;
  };
  const save = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setTried(true);
    const now = result();
    if (!now.ok) return;
    const { rule } = props;
    const answer = rule
      ? await api.change("PUT", `/api/alerts/rules/${encodeURIComponent(rule.id)}`, now.rule)
      : await api.change("POST", "/api/alerts/rules", now.rule);
    setFailure(answer.ok ? undefined : answer);
    if (answer.ok) props.onClose(true);
  };

  return (
    <section class="panel">
      <div class="panel-head">
        <h2 tabindex="-1" ref={first}>
          {props.rule ? `Rule: ${props.rule.name}` : "New rule"}
        </h2>
        <button type="button" class="button push" onClick={() => props.onClose(false)}>
          Back to the rules
        </button>
      </div>
      <div class="panel-body rule-editor">
        <form onSubmit={(event) => void save(event)} aria-label="Rule" novalidate>
          <Show when={fixed()}>
            <Notice tone="info" title="This rule comes from ALERTS_FILE.">
              Change it there; the service reads the file again on SIGHUP.
            </Notice>
          </Show>
          <fieldset disabled={fixed()} class="rule-fields">
            <legend class="visually-hidden">The rule</legend>
            <ConditionFields draft={draft} change={change} fault={fault} />
            <ResponseFields draft={draft} change={change} fault={fault} />
          </fieldset>
          <FailureNotice failure={failure()} title="The rule was not saved." />
          <Show when={!fixed()}>
            <div class="button-group">
              <button type="submit" class="button primary">
                {props.rule ? "Save" : "Add rule"}
              </button>
              <button type="button" class="button" onClick={() => props.onClose(false)}>
                Cancel
              </button>
            </div>
          </Show>
        </form>
        <Backtest result={result()} />
      </div>
    </section>
  );
}
