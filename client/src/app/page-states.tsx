import { createSignal, type JSX, onCleanup, Show } from "solid-js";
import { Blank } from "../ui/notice.tsx";
import { useApp } from "./context.tsx";

/** Nothing for the first moment, words after it: a flash of "loading" is worse than none. */
export function PageWait(): JSX.Element {
  const [late, setLate] = createSignal(false);
  const timer = setTimeout(() => setLate(true), 300);
  onCleanup(() => clearTimeout(timer));
  return (
    <div class="page">
      <Show when={late()}>
        <Blank title="Opening the page" />
      </Show>
    </div>
  );
}

export function PageError(props: { error: unknown; reset(): void }): JSX.Element {
  return (
    <div class="page">
      <section class="panel">
        <Blank title="This page has failed">
          <p>{props.error instanceof Error ? props.error.message : String(props.error)}</p>
          <p>If a new version was just installed, reload to get it.</p>
          <p class="blank-actions">
            <button type="button" class="button primary" onClick={() => location.reload()}>
              Reload
            </button>
            <button type="button" class="button" onClick={() => props.reset()}>
              Try again
            </button>
          </p>
        </Blank>
      </section>
    </div>
  );
}

export function NotFound(): JSX.Element {
  const { router } = useApp();
  return (
    <div class="page">
      <h1 class="visually-hidden">Not found</h1>
      <section class="panel">
        <Blank title="There is no such page">
          <p>
            Nothing is at <code>{router.path()}</code>.
          </p>
          <p class="blank-actions">
            <a class="button primary" href={router.href("/")}>
              Live
            </a>
            <a class="button" href={router.href("/devices")}>
              Devices
            </a>
          </p>
        </Blank>
      </section>
    </div>
  );
}
