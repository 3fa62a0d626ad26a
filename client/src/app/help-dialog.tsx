import { For, type JSX, onMount } from "solid-js";
import { useApp } from "./context.tsx";

const keys: readonly [string, string][] = [
  ["g l", "Live"],
  ["g d", "Devices"],
  ["g e", "Explore"],
  ["g a", "Alerts"],
  ["g p", "Pipeline"],
  ["/", "Search or filter"],
  ["[ ]", "Shorter or longer time range"],
  ["Space", "Pause and resume the live page"],
  ["f", "Force play: charts move on under the pointer"],
  ["t", "Light or dark"],
  ["w", "Wall screen, Esc leaves it"],
  ["?", "This help"],
];

export default function HelpDialog(props: { onClose(): void }): JSX.Element {
  const { preferences, api } = useApp();
  let dialog!: HTMLDialogElement;
  onMount(() => dialog.showModal());
  const signOut = async (): Promise<void> => {
    await api.signOut();
    location.reload();
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="help-title" onClose={() => props.onClose()}>
      <h2 id="help-title">Shortcuts</h2>
      <dl class="keys">
        <For each={keys}>
          {([key, words]) => (
            <div>
              <dt>
                <For each={key.split(" ")}>{(part) => <kbd>{part}</kbd>}</For>
              </dt>
              <dd>{words}</dd>
            </div>
          )}
        </For>
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={preferences.shortcuts()}
          onChange={(event) => preferences.setShortcuts(event.currentTarget.checked)}
        />
        Single-key shortcuts are on
      </label>
      <p class="dialog-links">
        <a href="/openapi" target="_blank" rel="noopener" data-server>
          API reference
        </a>
        <a href="/metrics" target="_blank" rel="noopener" data-server>
          Metrics
        </a>
        <button type="button" class="link" onClick={() => void signOut()}>
          Sign out
        </button>
      </p>
      <form method="dialog">
        <button type="submit" class="button primary">
          Close
        </button>
      </form>
    </dialog>
  );
}
