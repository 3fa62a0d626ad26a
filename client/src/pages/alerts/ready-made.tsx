import { createSignal, For, type JSX } from "solid-js";
import type { Rule, StoredRule } from "../../../../contract/alerts.ts";
import type { ApiFailure } from "../../api/api.ts";
import { useApp } from "../../app/context.tsx";
import { FailureNotice } from "./failure-notice.tsx";
import { readyMadeRules } from "./rule-draft.ts";

/** Rules to begin with, one press each. */
export function ReadyMade(props: { onAdded(): void }): JSX.Element {
  const { api } = useApp();
  const [failure, setFailure] = createSignal<ApiFailure>();
  const add = async (rule: Rule): Promise<void> => {
    const answer = await api.change<StoredRule>("POST", "/api/alerts/rules", rule);
    setFailure(answer.ok ? undefined : answer);
    if (answer.ok) props.onAdded();
  };
  return (
    <>
      <p>No rule watches this fleet yet. Begin with one of these, and change it as you like:</p>
      <FailureNotice failure={failure()} title="The rule was not added." />
      <ul class="ready-made">
        <For each={readyMadeRules}>
          {({ title, text, rule }) => (
            <li>
              <div>
                <strong>{title}</strong>
                <span class="panel-note">{text}</span>
              </div>
              <button type="button" class="button" aria-label={`Add the rule ${title}`} onClick={() => void add(rule)}>
                Add
              </button>
            </li>
          )}
        </For>
      </ul>
    </>
  );
}
