/** The theme's colours for what a canvas draws: canvases do not see CSS variables. */
export function chartInk(host: Element): { text: string; grid: string; accent: string; surface: string } {
  const style = getComputedStyle(host);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return { text: read("--ink-2"), grid: read("--line"), accent: read("--accent"), surface: read("--surface") };
}
