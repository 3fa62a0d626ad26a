/**
 * Functions by ClickHouse's own categories (`system.functions`): those that compute something from their arguments. Left out are
 * "Other" (files, sleep, settings, the server's own affairs), dictionaries, encryption, introspection, models, AI, and
 * what is internal; and whatever category a later release adds.
 */
export const allowedCategories: ReadonlySet<string> = new Set([
  "Aggregate Functions",
  "Arithmetic",
  "Arrays",
  "Bit",
  "Bitmap",
  "Comparison",
  "Conditional",
  "Dates and Times",
  "Distance",
  "Encoding",
  "Financial",
  "Geo",
  "Geo Polygon",
  "Hash",
  "IP Address",
  "JSON",
  "Logical",
  "Map",
  "Mathematical",
  "Null",
  "Random Number",
  "Rounding",
  "String",
  "String Replacement",
  "String Search",
  "String Splitting",
  "Time Window",
  "Tuple",
  "Type Conversion",
  "URL",
  "UUID",
]);

/** Harmless ones of "Other", and what the parser makes of syntax. */
const extraFunctions = [
  "bar",
  "exists",
  "finalizeAggregation",
  "formatReadableDecimalSize",
  "formatReadableQuantity",
  "formatReadableSize",
  "formatReadableTimeDelta",
  "identity",
  "ignore",
  "initializeAggregation",
  "isFinite",
  "isInfinite",
  "isNaN",
  "lambda",
  "materialize",
  "rowNumberInAllBlocks",
  "rowNumberInBlock",
  "runningAccumulate",
  "toTypeName",
  "transform",
  "untuple",
  "version",
] as const;

/** In the place of a table. */
export const allowedTableFunctions: ReadonlySet<string> = new Set(["numbers", "generate_series", "generateseries"]);

/** Suffixes that make another aggregate function of one. */
const combinators = [
  "SimpleState",
  "OrDefault",
  "OrNull",
  "Resample",
  "Distinct",
  "ForEach",
  "ArgMin",
  "ArgMax",
  "Merge",
  "State",
  "Array",
  "Map",
  "If",
] as const;

export interface KnownFunction {
  readonly name: string;
  readonly category: string;
  /** Empty: it is no other function's second name. */
  readonly alias: string;
}

/** Names in any case. */
export interface FunctionCheck {
  mayCall(name: string): boolean;
  /** A function that must not be called: where a function is expected, its bare name is one. */
  isForbiddenName(name: string): boolean;
}

/** Which functions a query may call, by all that the server knows of. */
export function createFunctionCheck(known: readonly KnownFunction[]): FunctionCheck {
  const allowed = new Set<string>([...extraFunctions, ...allowedTableFunctions].map((name) => name.toLowerCase()));
  const isAllowed = ({ category }: KnownFunction): boolean =>
    category !== "" && category.split(", ").every((each) => allowedCategories.has(each));
  for (const each of known) if (isAllowed(each)) allowed.add(each.name.toLowerCase());
  for (const each of known)
    if (each.alias !== "" && allowed.has(each.alias.toLowerCase())) allowed.add(each.name.toLowerCase());
  const aggregates = new Set(
    known.filter(({ category }) => category === "Aggregate Functions").map(({ name }) => name.toLowerCase()),
  );
  const isAggregate = (name: string): boolean =>
    aggregates.has(name) ||
    combinators.some((suffix) => {
      const ending = suffix.toLowerCase();
      return name.length > ending.length && name.endsWith(ending) && isAggregate(name.slice(0, -ending.length));
    });
  const mayCall = (name: string): boolean => allowed.has(name.toLowerCase()) || isAggregate(name.toLowerCase());
  const names = new Set(known.map(({ name }) => name.toLowerCase()));
  return { mayCall, isForbiddenName: (name) => names.has(name.toLowerCase()) && !mayCall(name) };
}
