import "./palette.css";
import { createEffect, createMemo, createSignal, For, type JSX, on, onMount, Show } from "solid-js";
import { createQuery } from "../api/query.ts";
import { useApp } from "./context.tsx";
import { pages } from "./pages.tsx";
import { matchCommands, type PaletteCommand } from "./palette-match.ts";
import { devicePath } from "./router.ts";

const found = 6;
/** A moment after the last key. */
const restMs = 120;

export interface PaletteProps {
  /** Commands of the frame: help, wall screen, views. */
  commands: readonly PaletteCommand[];
  onClose(): void;
}

/** Everything that can be reached or done, by name: pages, actions, saved views, devices, event types. */
export default function Palette(props: PaletteProps): JSX.Element {
  const [words, setWords] = createSignal("");
  const [at, setAt] = createSignal(0);
  let dialog!: HTMLDialogElement;
  onMount(() => dialog.showModal());

  const sources = createPaletteSources(words);
  const commands = createMemo(() => matchCommands([...pageCommands(), ...props.commands, ...sources()], words()));
  createEffect(on(words, () => setAt(0), { defer: true }));
  const chosen = (): PaletteCommand | undefined => commands()[Math.min(at(), commands().length - 1)];
  const run = (command: PaletteCommand | undefined): void => {
    if (!command) return;
    dialog.close();
    command.run();
  };
  const onKey = (event: KeyboardEvent): void => {
    const count = commands().length;
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    const move = moves[event.key];
    if (move !== undefined && count > 0) {
      event.preventDefault();
      setAt((now) => (now + move + count) % count);
      document.getElementById(`palette-${at()}`)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(chosen());
    }
  };
  return (
    <dialog ref={dialog} class="dialog palette" aria-label="Go to or do" onClose={() => props.onClose()}>
      <input
        type="text"
        role="combobox"
        aria-label="Search pages, actions, devices and event types"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={commands().length > 0 ? `palette-${Math.min(at(), commands().length - 1)}` : undefined}
        placeholder="Go to a page, device or event type, or do something"
        autocomplete="off"
        spellcheck={false}
        value={words()}
        onInput={(event) => setWords(event.currentTarget.value)}
        onKeyDown={onKey}
      />
      <div id="palette-list" role="listbox" aria-label="Results" class="palette-list">
        <For each={commands()}>
          {(command, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the combobox above has the keys, as its pattern says
            // biome-ignore lint/a11y/useFocusableInteractive: focus stays in the combobox, which names the active option
            <div
              id={`palette-${index()}`}
              role="option"
              aria-selected={command === chosen()}
              class="palette-option"
              onClick={() => run(command)}
              onMouseMove={() => setAt(index())}
            >
              <span class="clip">{command.label}</span>
              <span class="panel-note">{command.group}</span>
            </div>
          )}
        </For>
      </div>
      <Show when={commands().length === 0}>
        <p class="palette-none">Nothing is called that.</p>
      </Show>
    </dialog>
  );

  function pageCommands(): PaletteCommand[] {
    const { router } = useApp();
    return pages.flatMap(({ nav, path }) =>
      nav ? [{ label: nav.label, group: "Page", run: () => router.go(path) }] : [],
    );
  }
}

/** What the service is asked for: devices that match, all event types, saved views. */
function createPaletteSources(words: () => string): () => PaletteCommand[] {
  const { api, router } = useApp();
  const [rested, setRested] = createSignal("");
  let timer: ReturnType<typeof setTimeout> | undefined;
  createEffect(
    on(words, (now) => {
      clearTimeout(timer);
      timer = setTimeout(() => setRested(now.trim()), restMs);
    }),
  );
  const devices = createQuery(rested, (search, signal) =>
    api.get("/api/devices", { ...(search === "" ? {} : { search }), limit: String(found) }, signal),
  );
  const types = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/event-types", {}, signal),
  );
  const views = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/views", {}, signal),
  );
  return () => [
    ...(views.data()?.views ?? []).map(({ name, path }) => ({
      label: name,
      group: "View",
      run: () => router.go(path),
    })),
    ...(devices.data()?.devices ?? []).map(({ device_id }) => ({
      label: device_id,
      group: "Device",
      run: () => router.go(devicePath(device_id)),
    })),
    ...(types.data()?.event_types ?? []).map(({ event_type }) => ({
      label: event_type,
      group: "Event type",
      run: () => router.go(router.href("/explore", { types: encodeURIComponent(event_type), metric: "avg" })),
    })),
  ];
}
