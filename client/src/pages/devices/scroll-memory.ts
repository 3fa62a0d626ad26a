import { makeEventListener } from "@solid-primitives/event-listener";
import { onMount } from "solid-js";

const stateName = "deviceScroll";
const noteAfterMs = 150;

export interface ScrollMemory {
  /** Rows that must be there before the remembered place can be. */
  wantedRows(rowHeight: number): number;
  /** Goes to the remembered place, once, when enough rows are there. */
  restore(rows: number, rowHeight: number): void;
  /** A new list begins at its top, but not the one that the page was opened with. */
  toTop(): void;
}

/**
 * Where the list was scrolled to, kept with the entry of the browser's history: the back button comes back to the same row.
 * Under a Solid owner.
 */
export function createScrollMemory(scroller: () => HTMLElement): ScrollMemory {
  const state: unknown = history.state;
  const kept = typeof state === "object" && state !== null ? (state as Record<string, unknown>)[stateName] : undefined;
  let wantedPx = typeof kept === "number" ? kept : 0;
  let first = true;
  let timer: ReturnType<typeof setTimeout> | undefined;
  onMount(() =>
    makeEventListener(
      scroller(),
      "scroll",
      () => {
        clearTimeout(timer);
        const here = location.href;
        timer = setTimeout(() => {
          if (location.href === here) history.replaceState({ [stateName]: scroller().scrollTop }, "");
        }, noteAfterMs);
      },
      { passive: true },
    ),
  );
  return {
    wantedRows: (rowHeight) => Math.ceil((wantedPx + (wantedPx > 0 ? innerHeight : 0)) / rowHeight),
    restore(rows, rowHeight) {
      if (wantedPx === 0 || rows * rowHeight < wantedPx) return;
      const to = wantedPx;
      wantedPx = 0;
      // The space for the rows is as high as they need only after this render.
      requestAnimationFrame(() => scroller().scrollTo(0, to));
    },
    toTop() {
      if (first) {
        first = false;
        return;
      }
      wantedPx = 0;
      scroller().scrollTop = 0;
    },
  };
}
