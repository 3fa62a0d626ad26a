import { makeEventListener } from "@solid-primitives/event-listener";

export interface BrowserReactions {
  setOnline(online: boolean): void;
  /** The page may be gone soon. */
  keep(): void;
  retry(): void;
  /** The tab can be seen again. */
  shown(): void;
}

/** What the browser tells of the network and of the tab. Stops with its Solid owner. */
export function watchBrowser({ setOnline, keep, retry, shown }: BrowserReactions): void {
  makeEventListener(window, "online", () => {
    setOnline(true);
    retry();
  });
  makeEventListener(window, "offline", () => setOnline(false));
  makeEventListener(window, "pagehide", keep);
  makeEventListener(document, "visibilitychange", () => {
    if (document.hidden) keep();
    else {
      retry();
      shown();
    }
  });
}
