/** How long some raw events are kept, over what holds for all others. Rollups are kept as they are. */
export interface RetentionRule {
  /** The metadata key whose value decides; null: the event type does. */
  readonly key: string | null;
  /** Of the value or the type; `*` stands for any characters. */
  readonly pattern: string;
  readonly days: number;
}

export interface Retention {
  /** For events that no rule names. */
  readonly days: number;
  /** The first one that fits decides. */
  readonly rules: readonly RetentionRule[];
}

export const retentionRulesMax = 64;

/** `debug*=3,meta.site:lab*=7,temperature=365`; undefined when it cannot be read so. */
export function parseRetentionRules(text: string, daysMax: number): readonly RetentionRule[] | undefined {
  if (text.trim() === "") return [];
  const rules = text.split(",").map((part) => {
    const match = /^\s*([^=\s][^=]{0,127}?)\s*=\s*(\d{1,5})\s*$/.exec(part);
    const [pattern, days] = [match?.[1], Number(match?.[2])];
    return pattern !== undefined && days >= 1 && days <= daysMax ? { ...subjectOf(pattern), days } : undefined;
  });
  const known = rules.filter((rule) => rule !== undefined);
  return known.length === rules.length && known.length <= retentionRulesMax ? known : undefined;
}

function subjectOf(text: string): Pick<RetentionRule, "key" | "pattern"> {
  const [, key, pattern] = /^meta\.([^:]+):(.*)$/s.exec(text) ?? [];
  return key !== undefined && pattern !== undefined ? { key, pattern } : { key: null, pattern: text };
}

/** As it was written: `debug*`, or `meta.site:lab`. */
export const subjectText = ({ key, pattern }: Pick<RetentionRule, "key" | "pattern">): string =>
  key === null ? pattern : `meta.${key}:${pattern}`;

const expressionOf = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .split("*")
      .map((part) => RegExp.escape(part))
      .join("[^]*")}$`,
  );

/**
 * Gives the longest that an event of a type may be kept, whatever its metadata: an earlier rule about metadata may
 * keep it longer than the rule that names its type.
 */
export function createRetentionLookup({ days, rules }: Retention): (eventType: string) => number {
  const compiled = rules.map(({ key, pattern, days: kept }) => ({ key, expression: expressionOf(pattern), kept }));
  return (eventType) => {
    const deciding = compiled.findIndex(({ key, expression }) => key === null && expression.test(eventType));
    const earlier = compiled.slice(0, deciding === -1 ? compiled.length : deciding).filter(({ key }) => key !== null);
    return Math.max(compiled[deciding]?.kept ?? days, ...earlier.map(({ kept }) => kept));
  };
}

/** The longest that any event is kept: the TTL of the table, which drops whole parts. */
export const longestDays = ({ days, rules }: Retention): number => Math.max(days, ...rules.map((rule) => rule.days));

/** The shortest that a type alone may ask for. */
export const shortestDays = ({ days, rules }: Retention): number =>
  Math.min(days, ...rules.filter(({ key }) => key === null).map((rule) => rule.days));

/** Events that a rule covers and none before it does, as a condition in SQL; `null` is everything that no rule covers. */
export function conditionOf(rules: readonly RetentionRule[], index: number | null): string {
  const rule = index === null ? undefined : rules[index];
  const own = rule === undefined ? [] : [matchOf(rule)];
  const earlier = rules.slice(0, index ?? rules.length).map((each) => `NOT (${matchOf(each)})`);
  return [...own, ...earlier].join(" AND ") || "1";
}

function matchOf({ key, pattern }: RetentionRule): string {
  const like = `LIKE ${quoted(likeOf(pattern))}`;
  if (key === null) return `event_type ${like}`;
  // A key that is absent reads as an empty text, which `*` would match.
  return `mapContains(metadata, ${quoted(key)}) AND metadata[${quoted(key)}] ${like}`;
}

/** ClickHouse's LIKE: `%` any characters, `_` any one, `\` before either takes its meaning. */
const likeOf = (pattern: string): string => pattern.replace(/[\\%_]/g, "\\$&").replaceAll("*", "%");

const quoted = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;
