/**
 * uPlot gives the browser's language to `Intl` as it is loaded, and WebKit under the locale C has one that `Intl` refuses: no chart
 * would open. English then, as `Intl` itself chooses there.
 */
export function ensureLanguage(browser: { readonly language: string }): void {
  try {
    Intl.getCanonicalLocales(browser.language);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    Object.defineProperty(browser, "language", { value: "en-US", configurable: true });
  }
}
