/** Pauses before the second, third, … attempt: those of the Standard Webhooks specification, three days in all. */
const pausesMs = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map((seconds) => seconds * 1000);
/** A receiver may ask for more time, but not for ever. */
const retryAfterMaxMs = 86_400_000;

/** A message is tried for so long: the sum of the pauses. */
export const triedForMs = pausesMs.reduce((sum, pauseMs) => sum + pauseMs, 0);

/** When to try again after `attempts` have failed. Full jitter: anything up to the pause, or what the receiver asked for. */
export function nextAttemptMs(
  attempts: number,
  nowMs: number,
  random: () => number,
  retryAfter: string | null = null,
): number {
  const pauseMs = pausesMs[Math.min(attempts, pausesMs.length) - 1] as number;
  return nowMs + Math.max(pauseMs * random(), retryAfterMs(retryAfter, nowMs));
}

/** Seconds, or a date. */
export function retryAfterMs(header: string | null, nowMs: number): number {
  if (header === null) return 0;
  const asked = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isNaN(asked) ? 0 : Math.min(Math.max(0, asked), retryAfterMaxMs);
}
