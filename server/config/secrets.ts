/** A URL may carry a password; one that is wrong may carry it anywhere before its last @, and lack the scheme. */
export function withoutCredentials(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCredentials).join(",");
  return typeof value === "string" ? value.replace(/^([a-z]+:\/\/)?.*@/is, "$1********@") : value;
}
