import { useApp } from "../../app/context.tsx";

/**
 * j and k move the focus from row to row, Enter opens: the rows' links take the focus, so that everything else about them
 * works as with a link. Under a Solid owner.
 */
export function createRowKeys(rows: {
  count(): number;
  /** The first row on the screen. */
  first(): number;
  host(): HTMLElement | undefined;
  scrollTo(index: number): void;
}): void {
  const { shortcuts } = useApp();
  const linkAt = (index: number): HTMLElement | null | undefined =>
    rows.host()?.querySelector<HTMLElement>(`[data-row="${index}"]`);
  const focused = (): number | undefined => {
    const row = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.row : undefined;
    return row === undefined ? undefined : Number(row);
  };
  const move = (by: number): void => {
    const at = focused();
    const next = at === undefined ? rows.first() : Math.min(rows.count() - 1, Math.max(0, at + by));
    if (rows.count() === 0) return;
    rows.scrollTo(next);
    const focus = (): void => linkAt(next)?.focus({ preventScroll: true });
    focus();
    // A row outside the window is made by the scrolling.
    if (focused() !== next) requestAnimationFrame(() => requestAnimationFrame(focus));
  };
  shortcuts.add("j", () => move(1));
  shortcuts.add("k", () => move(-1));
}
