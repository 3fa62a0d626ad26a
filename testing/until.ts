/**
 * Polls until `look` gives something, and gives that; never waits for time to pass. Fails by name after `timeoutMs`, with what
 * `describe` says of it then.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 20_000,
  describe?: () => string,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${what}${describe ? `; ${describe()}` : ""}`);
    }
    await Bun.sleep(10);
  }
}
