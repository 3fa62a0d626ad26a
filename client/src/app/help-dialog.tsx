import { For, type JSX, Show } from "solid-js";
import { createQuery } from "../api/query.ts";
import { Dialog } from "../ui/dialog.tsx";
import { useApp } from "./context.tsx";

/** Beside those of the pages, which the table of pages has. */
const keys: readonly [string, string][] = [
  ["/", "Search or filter"],
  ["[ ]", "Shorter or longer time range"],
  ["j k", "Next or previous row, Enter opens it"],
  ["Space", "Pause and resume"],
  ["f", "Keep updating on hover"],
  ["t", "Light or dark"],
  ["w", "Wall screen, Esc leaves it"],
  ["Ctrl K", "Go to anything: pages, devices, types, actions"],
  ["v", "Saved views and links"],
  ["?", "This help"],
];

export default function HelpDialog(props: { pages: readonly [string, string][]; onClose(): void }): JSX.Element {
  const { preferences, api } = useApp();
  const session = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/session", {}, signal),
  );
  const signOut = async (): Promise<void> => {
    await api.signOut();
    location.reload();
  };
  return (
    <Dialog labelledBy="help-title" onClose={() => props.onClose()}>
      <h2 id="help-title">Shortcuts</h2>
      <dl class="keys">
        <For each={[...props.pages, ...keys]}>
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
        <Show when={session.data()?.viewer}>
          <button type="button" class="link" onClick={() => void signOut()}>
            Sign out
          </button>
        </Show>
      </p>
      <form method="dialog">
        <button type="submit" class="button primary">
          Close
        </button>
      </form>
    </Dialog>
  );
}
