/** How the text of a setting is read, and the words for what it may be. Bounds are given once: the words are made from them. */
export interface Kind<T> {
  /** Undefined when the text is not allowed. */
  readonly parse: (text: string) => T | undefined;
  readonly allowed: string;
}

type Parse<T> = Kind<T>["parse"];

const unitsMs: Readonly<Record<string, number>> = { "": 1000, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const unitsBytes: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

function scaled(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = match && units[match[2] as string];
  return unit ? Number(match[1]) * unit : undefined;
}

const bounded =
  (parse: Parse<number>, min: number, max: number): Parse<number> =>
  (text) => {
    const value = parse(text);
    return value !== undefined && value >= min && value <= max ? value : undefined;
  };

/** Any text. */
export const text = (allowed: string): Kind<string> => ({ parse: (value) => value, allowed });

/** A whole number; `more` is said after the bounds. */
export const integer = (min: number, max: number, more = ""): Kind<number> => ({
  parse: bounded((value) => (/^\d+$/.test(value.trim()) ? Number(value) : undefined), min, max),
  allowed: `${min} to ${max}${more}`,
});

/** Milliseconds. The bounds are written as a setting's value is: `10ms`, `1h`. */
export const duration = (min: string, max: string): Kind<number> => ({
  parse: bounded((value) => scaled(value, unitsMs), scaled(min, unitsMs) ?? Number.NaN, scaled(max, unitsMs) ?? 0),
  allowed: `a number of seconds, or with a unit (500ms, 2s, 5m, 1h, 30d), from ${min} to ${max}`,
});

/** Bytes. The bounds are written as a setting's value is: `64KiB`, `1GiB`. */
export const size = (min: string, max: string, more = ""): Kind<number> => {
  const whole: Parse<number> = (value) => {
    const bytes = scaled(value, unitsBytes);
    return bytes === undefined ? undefined : Math.floor(bytes);
  };
  return {
    parse: bounded(whole, scaled(min, unitsBytes) ?? Number.NaN, scaled(max, unitsBytes) ?? 0),
    allowed: `${more}a number of bytes, or with a unit (64KiB, 16MiB, 4GiB), from ${min} to ${max}`,
  };
};

export const flag: Kind<boolean> = {
  parse: (value) =>
    value === "1" || value === "true" ? true : value === "0" || value === "false" || value === "" ? false : undefined,
  allowed: "1 or 0",
};

export const oneOf = <const T extends string>(...choices: readonly T[]): Kind<T> => ({
  parse: (value) => choices.find((choice) => choice === value),
  allowed: choices
    .filter((choice) => choice !== "")
    .join(", ")
    .replace(/, ([^,]*)$/, " or $1"),
});

/** Null when the setting is not set. */
export const optional = <T>(kind: Kind<T>): Kind<T | null> => ({
  ...kind,
  parse: (value) => (value === "" ? null : kind.parse(value)),
});

/** A name as SQL knows it. */
export const identifier = (allowed: string): Kind<string> => ({
  parse: (value) => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(value) ? value : undefined),
  allowed,
});

/** A URL with one of these schemes. */
export const url = (schemes: readonly string[], allowed: string): Kind<string> => ({
  parse: (value) => (URL.canParse(value) && schemes.includes(new URL(value).protocol.slice(0, -1)) ? value : undefined),
  allowed,
});

/** Several, separated by commas; none when it is not set. */
export const list = <T>(kind: Kind<T>): Kind<readonly T[]> => ({
  parse(value) {
    const parts = value === "" ? [] : value.split(",").map((part) => kind.parse(part.trim()));
    const known = parts.filter((part) => part !== undefined);
    return known.length === parts.length ? known : undefined;
  },
  allowed: kind.allowed,
});
