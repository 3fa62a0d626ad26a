import { allowedTableFunctions, type FunctionCheck } from "./allowed-functions.ts";

/** What the engine's own parser makes of a query (EXPLAIN AST) may consist of these. */
const allowedNodes: ReadonlySet<string> = new Set([
  "ArrayJoin",
  "Asterisk",
  "ExpressionList",
  "Function",
  "Identifier",
  "InterpolateElement",
  "Literal",
  "OrderByElement",
  "QualifiedAsterisk",
  "SelectIntersectExceptQuery",
  "SelectQuery",
  "SelectWithUnionQuery",
  "StorageOrderByElement",
  "Subquery",
  "TableExpression",
  "TableIdentifier",
  "TableJoin",
  "TablesInSelectQuery",
  "TablesInSelectQueryElement",
  "WindowDefinition",
  "WindowListElement",
  "WithElement",
]);

/**
 * Why a query is refused, by its syntax tree, or null. Every node is one that is known to be harmless, so what a later release
 * adds is refused until somebody has looked at it. The root holds queries and nothing else: FORMAT and INTO OUTFILE would
 * stand beside them, SETTINGS is a node of its own.
 */
export function faultInTree(explained: string, functions: FunctionCheck): string | null {
  const lines = explained.split("\n").filter((line) => line.trim() !== "");
  const [root = ""] = lines;
  if (!/^SelectWithUnionQuery \(children 1\)$/.test(root)) return "only one SELECT without FORMAT or INTO is allowed";
  for (const line of lines) {
    const [, node = "", name = ""] = /^\s*(\w+)(?: (.*))?$/.exec(line) ?? [];
    if (!allowedNodes.has(node)) return `${node === "Set" ? "SETTINGS" : node || "this"} is not allowed here`;
    const called = name.replace(/ \(.*$/, "");
    // arrayMap(file, …) calls it without a bracket.
    if (node === "Identifier" && functions.isForbiddenName(called)) {
      return `${called.slice(0, 100)} is the name of a function that is not allowed here`;
    }
    if (node === "Function" && !functions.mayCall(called)) return notAllowed(called);
  }
  return null;
}

const notAllowed = (called: string): string => `the function ${called.slice(0, 100)} is not allowed here`;

/**
 * Why a query is refused, by the tables that the engine has found for its names (EXPLAIN QUERY TREE), or null. Views, subqueries, IN
 * and WITH are resolved there; what stands in the text is not looked at. A line too many, out of somebody's string, only
 * refuses more.
 */
export function faultInTables(
  explained: string,
  functions: FunctionCheck,
  database: string,
  tables: readonly string[],
): string | null {
  const allowed = new Set(["system.one", ...tables.map((table) => `${database}.${table}`)]);
  for (const [, described = ""] of explained.matchAll(/table_name: ([^\n]*)/g)) {
    const name = described.replace(/, final: 1$/, "");
    if (!allowed.has(name))
      return `the table ${name.slice(0, 200)} is not allowed here; allowed are ${tables.join(", ")}`;
  }
  for (const [, called = ""] of explained.matchAll(/[^_]function_name: (\w+)/g)) {
    if (!functions.mayCall(called)) return notAllowed(called);
  }
  for (const [, described = ""] of explained.matchAll(/table_function_name: (\w*)/g)) {
    if (!allowedTableFunctions.has(described.toLowerCase()))
      return `the table function ${described} is not allowed here`;
  }
  return null;
}
