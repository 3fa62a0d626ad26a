/** How long raw events of some types are kept, over what holds for all others. Rollups are kept as they are. */
export interface RetentionRule {
  /** An event type; `*` stands for any characters. */
  readonly pattern: string;
  readonly days: number;
}

export interface Retention {
  /** For types that no rule names. */
  readonly days: number;
  /** The first one that fits decides. */
  readonly rules: readonly RetentionRule[];
}

export const retentionRulesMax = 64;

/** `debug*=3,temperature=365`; undefined when it cannot be read so. */
export function parseRetentionRules(text: string, daysMax: number): readonly RetentionRule[] | undefined {
  if (text.trim() === "") return [];
  const rules = text.split(",").map((part) => {
    const match = /^\s*([^=\s][^=]{0,127}?)\s*=\s*(\d{1,5})\s*$/.exec(part);
    const [pattern, days] = [match?.[1], Number(match?.[2])];
    return pattern !== undefined && days >= 1 && days <= daysMax ? { pattern, days } : undefined;
  });
  const known = rules.filter((rule) => rule !== undefined);
  return known.length === rules.length && known.length <= retentionRulesMax ? known : undefined;
}

const expressionOf = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .split("*")
      .map((part) => RegExp.escape(part))
      .join("[^]*")}$`,
  );

/** Gives the days that a type's raw events are kept. */
export function createRetentionLookup({ days, rules }: Retention): (eventType: string) => number {
  const compiled = rules.map((rule) => ({ expression: expressionOf(rule.pattern), days: rule.days }));
  return (eventType) => compiled.find(({ expression }) => expression.test(eventType))?.days ?? days;
}

/** The longest that any event is kept: the TTL of the table, which drops whole parts. */
export const longestDays = ({ days, rules }: Retention): number => Math.max(days, ...rules.map((rule) => rule.days));

/** The shortest. */
export const shortestDays = ({ days, rules }: Retention): number => Math.min(days, ...rules.map((rule) => rule.days));

/** Types that a rule covers and none before it does, as a condition in SQL; `null` is everything that no rule covers. */
export function conditionOf(rules: readonly RetentionRule[], index: number | null): string {
  const own = index === null ? [] : [`event_type LIKE ${quoted(likeOf(rules[index]?.pattern ?? ""))}`];
  const earlier = rules
    .slice(0, index ?? rules.length)
    .map((rule) => `event_type NOT LIKE ${quoted(likeOf(rule.pattern))}`);
  return [...own, ...earlier].join(" AND ") || "1";
}

/** ClickHouse's LIKE: `%` any characters, `_` any one, `\` before either takes its meaning. */
const likeOf = (pattern: string): string => pattern.replace(/[\\%_]/g, "\\$&").replaceAll("*", "%");

const quoted = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;
