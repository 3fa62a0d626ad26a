/**
 * The only reader of the environment. Each group of settings is a file of this folder, each setting one row of it, and each
 * room is given its group's values. A wrong value throws `ConfigError`.
 */
import { ConfigError } from "./config-error.ts";
import { crossChecked } from "./cross-checks.ts";
import { type Config, type Environment, groups } from "./groups.ts";
import { withoutCredentials } from "./secrets.ts";
import type { Group, Setting } from "./setting.ts";

/** Reads every setting; throws `ConfigError` with one line that names variable, value and what is allowed. */
export function parseConfig(environment: Environment): Config {
  const values = Object.entries(groups).map(([name, group]) => [name, parseGroup(group, environment)]);
  return crossChecked(Object.fromEntries(values) as Config, environment);
}

function parseGroup({ settings }: Group, environment: Environment): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, setting]) => [key, parseSetting(setting, environment)]),
  );
}

function parseSetting({ variable, fallback, kind, secret }: Setting<unknown>, environment: Environment): unknown {
  const given = environment[variable] || fallback;
  const value = kind.parse(given);
  if (value !== undefined) return value;
  throw new ConfigError(
    `${variable}=${secret ? "********" : withoutCredentials(given)}: not allowed; use ${kind.allowed}`,
  );
}

/** A value that was read into parts keeps its text. */
const shown = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "text" in value ? value.text : value;

/** Every variable with its value in force, secrets masked. */
export function describeConfig(config: Config): Record<string, unknown> {
  const described: Record<string, unknown> = {};
  for (const [name, { settings }] of Object.entries<Group>(groups)) {
    const values: Readonly<Record<string, unknown>> = config[name as keyof Config];
    for (const [key, { variable, secret }] of Object.entries(settings)) {
      const value = values[key];
      described[variable] = secret && value !== "" ? "********" : withoutCredentials(shown(value));
    }
  }
  return described;
}
