/** Full-jitter exponential backoff. Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. */
export function backoffMs(attempt: number, random: () => number, baseMs = 50, capMs = 10_000): number {
  return random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
}
