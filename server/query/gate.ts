import { Refusal } from "./refusal.ts";

/** How many queries run at once, and how many wait for their turn. */
export interface Gate {
  /** Resolves when there is room; call what it gives exactly once. Throws `Refusal` when there is none in time. */
  enter(signal: AbortSignal): Promise<() => void>;
}

export function createGate(runningMax: number, waitingMax: number, waitMaxMs: number): Gate {
  /** In order of arrival: a Set keeps it, and lets one go from the middle. */
  const waiting = new Set<() => void>();
  let running = 0;
  const leave = (): void => {
    const [next] = waiting;
    // The place is handed on, not given up and taken again.
    if (next === undefined) running--;
    else next();
  };

  function turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void): void => {
        waiting.delete(enter);
        clearTimeout(timer);
        signal.removeEventListener("abort", giveUp);
        outcome();
      };
      const enter = (): void => settle(resolve);
      const giveUp = (): void => settle(() => reject(overloaded()));
      const timer = setTimeout(giveUp, waitMaxMs);
      signal.addEventListener("abort", giveUp, { once: true });
      waiting.add(enter);
    });
  }

  return {
    async enter(signal) {
      if (running < runningMax) running++;
      else if (waiting.size < waitingMax && !signal.aborted) await turn(signal);
      else throw overloaded();
      return leave;
    },
  };
}

const overloaded = (): Refusal =>
  new Refusal("overloaded", "Too many queries are waiting for ClickHouse. Try again shortly.");
