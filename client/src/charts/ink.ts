import type { Severity } from "../../../contract/alerts.ts";

/** The theme's colours for what a canvas draws: canvases do not see CSS variables. */
export function chartInk(host: Element): {
  text: string;
  grid: string;
  accent: string;
  surface: string;
  shade: string;
  alerts: Record<Severity, string>;
} {
  const style = getComputedStyle(host);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return {
    text: read("--ink-2"),
    grid: read("--line"),
    accent: read("--accent"),
    surface: read("--surface"),
    shade: read("--shade"),
    alerts: { critical: read("--bad"), warning: read("--warn"), info: read("--accent") },
  };
}

const accents = new Map<boolean, string>();

/** The accent of a theme, read once: asking for it on every drawing would cost a style pass each. */
export function accentColor(dark: boolean): string {
  const known = accents.get(dark);
  if (known !== undefined) return known;
  const color = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
  accents.set(dark, color);
  return color;
}
