/** Waits for a condition, not for time; fails by name, with what was seen last, after `timeoutMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  describe: () => string = () => "",
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await condition()) return;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}; ${describe()}`);
    await Bun.sleep(10);
  }
}

/** A free port of the loopback interface; kept by nobody, so there is a small chance that another takes it first. */
export function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = probe;
  probe.stop(true);
  return port;
}
