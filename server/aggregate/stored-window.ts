/** Seconds `from` to before `to`, epoch seconds. */
export type SecondRange = readonly [from: number, to: number];
