import { createEffect, createMemo, createSignal, type JSX, lazy, on, onCleanup, Show, Suspense } from "solid-js";
import { useApp } from "../../app/context.tsx";

/** Most visits have events to show, and never need it. */
const FirstEvent = lazy(async () => ({ default: (await import("../../ui/first-event.tsx")).FirstEvent }));

/** How long the good news stays. */
const arrivedForMs = 6_000;

/** Nothing has come lately, or ever: how to send an event, and a sign that turns green when it is there. */
export function WaitingPanel(props: { quiet: boolean }): JSX.Element {
  const { live } = useApp();
  const never = createMemo(() => live.pipeline()?.accepted === 0);
  const [arrived, setArrived] = createSignal(false);
  let timer: ReturnType<typeof setTimeout> | undefined;
  createEffect(
    on(
      () => props.quiet,
      (quiet, before) => {
        if (quiet || before !== true) return;
        setArrived(true);
        timer = setTimeout(() => setArrived(false), arrivedForMs);
      },
    ),
  );
  onCleanup(() => clearTimeout(timer));
  return (
    <>
      <Show when={arrived() && !props.quiet}>
        <p class="panel waiting" data-state="arrived" role="status">
          <i aria-hidden="true" />
          Your event has arrived.
        </p>
      </Show>
      <Show when={props.quiet}>
        <section class="panel waiting-panel" aria-labelledby="waiting-title">
          <p class="waiting" data-state="waiting" role="status">
            <i aria-hidden="true" />
            {never() ? "Waiting for your first event" : "Waiting for the next event"}
          </p>
          <h2 id="waiting-title">{never() ? "No events yet" : "No events in the last ten minutes"}</h2>
          <p class="panel-note">
            {never()
              ? "Sluice is running. Send an event in one of these ways, and it shows here at once."
              : "The service is running, and no device has reported lately. Send an event to check the connection."}
          </p>
          <Suspense>
            <FirstEvent />
          </Suspense>
        </section>
      </Show>
    </>
  );
}
