/**
 * Resolves once what is rendered now is on the screen: large code that follows must not hold up the page's first words.
 * Two frames, because the first callback comes before the painting, and a picture is shown a while after it.
 */
export function afterPaint(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve))));
}
