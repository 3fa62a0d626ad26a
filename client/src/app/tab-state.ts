import { type Accessor, createEffect, createMemo, on } from "solid-js";
import { type Attention, attentionTo } from "./attention.ts";
import { useApp } from "./context.tsx";
import { makeTabIcon } from "./tab-icon.ts";

/** Title, icon and badge of the tab follow the fleet: an outage is seen from another tab. Under a Solid owner. */
export function createTabState(pageTitle: Accessor<string>): Accessor<Attention> {
  const { live } = useApp();
  const attention = createMemo(
    () => attentionTo(live.connection().kind, live.vitals(), live.alerts()?.total ?? 0),
    undefined,
    { equals: (a, b) => a.words === b.words && a.tone === b.tone && a.count === b.count },
  );
  createEffect(() => {
    const { words } = attention();
    document.title = `${words === "" ? "" : `${words} · `}${pageTitle()} · Sluice`;
  });
  const link = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  const setIcon = link ? makeTabIcon(link) : undefined;
  createEffect(
    on(attention, (next) => {
      setIcon?.(next);
      setAppBadge(next.count);
    }),
  );
  return attention;
}

/** On the icon of an installed app, where the system has such badges. */
function setAppBadge(count: number): void {
  if (!("setAppBadge" in navigator)) return;
  const done = count > 0 ? navigator.setAppBadge(count) : navigator.clearAppBadge();
  done.catch((error: unknown) => {
    // Not installed, or the system has none: the title says it too.
    if (!(error instanceof DOMException)) throw error;
  });
}
