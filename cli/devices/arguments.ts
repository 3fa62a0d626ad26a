/** Command lines of `device` and `simulate`: each option is one row, from which parsing and `--help` both come. */
import { parseArgs } from "node:util";
import type { Outage } from "./fleet.ts";

/** One option that takes a value. */
interface Option<T> {
  readonly value: string;
  readonly help: string;
  /** The value when the option is absent. */
  readonly fallback: T;
  /** How the fallback reads in `--help`; its own text if left out. */
  readonly fallbackText?: string;
  readonly parse: (text: string) => T | undefined;
  /** What is allowed, for the line that refuses another value. */
  readonly allowed: string;
}

/** An option that is there or not. */
interface Switch {
  readonly help: string;
}

type Options = Readonly<Record<string, Option<unknown> | Switch>>;
type Values<O extends Options> = {
  readonly [Name in keyof O]: O[Name] extends { readonly parse: (text: string) => infer T | undefined } ? T : boolean;
};

export type ParsedArguments<O extends Options> =
  | { readonly kind: "run"; readonly values: Values<O> }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "wrong"; readonly message: string };

interface Program<O extends Options> {
  readonly usage: string;
  readonly about: string;
  readonly options: O;
}

/** Parses the words after the program's name. `wrong` is one line that names the option, the value and what is allowed. */
export function parseArguments<O extends Options>(argv: readonly string[], program: Program<O>): ParsedArguments<O> {
  const { options } = program;
  let given: Record<string, unknown>;
  try {
    given = parseArgs({
      args: [...argv],
      options: {
        help: { type: "boolean", short: "h" },
        ...Object.fromEntries(
          Object.entries(options).map(([name, option]) => [
            name,
            { type: "parse" in option ? ("string" as const) : ("boolean" as const) },
          ]),
        ),
      },
    }).values;
  } catch (error) {
    return { kind: "wrong", message: `${(error as Error).message.split("\n")[0]} (--help lists all options)` };
  }
  if (given.help === true) return { kind: "help", text: helpText(program) };
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const text = given[name];
    if (!("parse" in option)) {
      values[name] = text === true;
    } else if (typeof text === "string") {
      const value = option.parse(text);
      if (value === undefined) {
        return { kind: "wrong", message: `--${name} ${JSON.stringify(text)}: not allowed; use ${option.allowed}` };
      }
      values[name] = value;
    } else {
      values[name] = option.fallback;
    }
  }
  return { kind: "run", values: values as Values<O> };
}

function helpText(program: Program<Options>): string {
  const rows = Object.entries(program.options).map(([name, option]) => {
    if (!("parse" in option)) return [`--${name}`, option.help] as const;
    const fallback = option.fallbackText ?? String(option.fallback);
    return [`--${name} ${option.value}`, `${option.help}${fallback === "" ? "" : ` (default ${fallback})`}`] as const;
  });
  rows.push(["--help", "this text"]);
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return [program.usage, "", program.about, "", ...rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`)].join(
    "\n",
  );
}

export function integerBetween(min: number, max: number): (text: string) => number | undefined {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
}

export function numberBetween(min: number, max: number): (text: string) => number | undefined {
  return (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
}

/** `FRACTION@SECONDS+SECONDS`: so many devices stop then, for so long. */
export function parseOutage(text: string): Outage | undefined {
  const match = /^(\d+(?:\.\d+)?)@(\d+(?:\.\d+)?)\+(\d+(?:\.\d+)?)$/.exec(text);
  if (match === null || Number(match[1]) > 1) return undefined;
  return { fraction: Number(match[1]), fromMs: Number(match[2]) * 1000, forMs: Number(match[3]) * 1000 };
}

/** The address of a service without a slash at its end. */
export function parseServiceUrl(text: string): string | undefined {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) return undefined;
  return text.replace(/\/+$/, "");
}

/** The two options that say where events go, the same for both programs. */
export function destinationOptions(environmentKey: string | undefined) {
  return {
    url: {
      value: "URL",
      help: "the service",
      fallback: "http://127.0.0.1:8000",
      parse: parseServiceUrl,
      allowed: "an http:// or https:// address",
    },
    key: {
      value: "SECRET",
      help: "sent as bearer token",
      fallback: environmentKey ?? "",
      fallbackText: "the environment's SLUICE_KEY",
      parse: (text: string) => text || undefined,
      allowed: "a secret that is not empty",
    },
  };
}
