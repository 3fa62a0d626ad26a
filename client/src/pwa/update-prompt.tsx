import { createSignal, type JSX, onCleanup, onMount, Show } from "solid-js";

/** A page left open asks for a new version this often. */
const checkEveryMs = 3_600_000;
/** Filling the cache for later must not compete with the first numbers and charts. */
const registerAfterMs = 3_000;

/** Registers the service worker once the page is at rest, and offers a new version without taking it by force. */
export function UpdatePrompt(): JSX.Element {
  const [ready, setReady] = createSignal<() => void>();
  let timer: ReturnType<typeof setInterval> | undefined;

  onMount(() => {
    if (!("serviceWorker" in navigator) || !import.meta.env.PROD) return;
    const start = async (): Promise<void> => {
      const { registerSW } = await import("virtual:pwa-register");
      const update = registerSW({
        onNeedRefresh: () => setReady(() => () => void update(true)),
        onRegisteredSW(_, registration) {
          if (!registration) return;
          timer = setInterval(() => {
            if (navigator.onLine) void registration.update();
          }, checkEveryMs);
        },
      });
    };
    const whenIdle = (): void => void start();
    if (document.readyState === "complete") setTimeout(whenIdle, registerAfterMs);
    else addEventListener("load", () => setTimeout(whenIdle, registerAfterMs), { once: true });
  });
  onCleanup(() => clearInterval(timer));

  return (
    <Show when={ready()}>
      {(update) => (
        <div class="prompt" role="status">
          <span>A new version is ready.</span>
          <button type="button" class="button primary" onClick={() => update()()}>
            Reload
          </button>
          <button type="button" class="button" onClick={() => setReady(undefined)}>
            Later
          </button>
        </div>
      )}
    </Show>
  );
}
