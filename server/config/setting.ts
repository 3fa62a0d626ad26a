import type { Kind } from "./kinds.ts";

/** One setting. Its key in the group is the name under which a room reads it. */
export interface Setting<T> {
  /** The environment variable. */
  readonly variable: string;
  /** As one would write it; empty: unset. */
  readonly fallback: string;
  readonly kind: Kind<T>;
  /** The line of `--help` and of docs/configuration.md. */
  readonly help: string;
  /** Shown as asterisks. */
  readonly secret?: true;
}

export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** Settings that belong together, under one heading of `--help`. */
export interface Group<S extends Settings = Settings> {
  readonly title: string;
  readonly settings: S;
}

export const group = <const S extends Settings>(title: string, settings: S): Group<S> => ({ title, settings });

/** The values of a group. */
export type Values<G extends Group> = {
  readonly [K in keyof G["settings"]]: G["settings"][K] extends Setting<infer T> ? T : never;
};
