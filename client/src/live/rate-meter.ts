/** Turns a counter into a rate over the last seconds. A counter that falls back was restarted: the meter begins anew. */
export type RateMeter = (atMs: number, count: number | undefined) => number | null;

export function createRateMeter(windowMs = 10_000): RateMeter {
  let samples: { atMs: number; count: number }[] = [];
  return (atMs, count) => {
    if (count === undefined) return null;
    const last = samples.at(-1);
    if (last && count < last.count) samples = [];
    if (!last || atMs > last.atMs) samples.push({ atMs, count });
    // One sample older than the window stays, so that the rate always spans it.
    while (samples.length > 2 && samples[1]!.atMs <= atMs - windowMs) samples.shift();
    const first = samples[0]!;
    const newest = samples.at(-1)!;
    // Two samples close together say more about the batching than about the rate.
    return newest.atMs - first.atMs < windowMs / 5
      ? null
      : ((newest.count - first.count) / (newest.atMs - first.atMs)) * 1000;
  };
}
