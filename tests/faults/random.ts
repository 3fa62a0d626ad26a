import { createRandom as createNumbers } from "../../base/random.ts";

/** Seeded randomness, so that a round can be run again. */
export interface Random {
  /** 0 up to, not including, 1. */
  next(): number;
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number;
  pick<T>(choices: readonly T[]): T;
  chance(probability: number): boolean;
  /** An independent sequence, so that what one part draws does not shift another's. */
  fork(): Random;
}

export function createRandom(seed: number): Random {
  const next = createNumbers(seed);
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    integer,
    pick: (choices) => {
      const chosen = choices[integer(0, choices.length - 1)];
      if (chosen === undefined) throw new RangeError("nothing to pick from");
      return chosen;
    },
    chance: (probability) => next() < probability,
    fork: () => createRandom(integer(0, 2 ** 32 - 1)),
  };
}
