/** Resolves once what is rendered now has been painted: large code that follows must not hold up the page's first words. */
export function afterPaint(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}
