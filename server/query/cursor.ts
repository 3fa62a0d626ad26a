import { createHash } from "node:crypto";
import { invalidParameter } from "./refusal.ts";

/** What a cursor holds: where its page ended. */
export type CursorValues = readonly (string | number)[];

const version = 1;
/** The longest device id, in base64 of JSON escapes, fits. */
const cursorMaxCharacters = 4096;

/** A cursor belongs to one query: `scope` is everything that decides which rows there are and in which order. */
const scopeHash = (scope: readonly unknown[]): string =>
  createHash("sha256").update(JSON.stringify(scope)).digest("base64url").slice(0, 12);

/** Opaque to clients, though not secret: every value in it is bound, and none gives access to anything. */
export function encodeCursor(scope: readonly unknown[], values: CursorValues): string {
  return Buffer.from(JSON.stringify([version, scopeHash(scope), ...values])).toString("base64url");
}

/** The values of a cursor, each of the given type; refused when it is not one of this query's. */
export function decodeCursor(
  text: string,
  scope: readonly unknown[],
  types: readonly ("string" | "integer" | "digits")[],
): CursorValues {
  const refusal = invalidParameter(
    "cursor",
    "not a cursor of this query: pass what the last page gave, with the same parameters",
  );
  if (text.length > cursorMaxCharacters) throw refusal;
  const decoded = parseJson(Buffer.from(text, "base64url").toString());
  if (!Array.isArray(decoded) || decoded.length !== types.length + 2) throw refusal;
  const [foundVersion, hash, ...values]: unknown[] = decoded;
  if (foundVersion !== version || hash !== scopeHash(scope)) throw refusal;
  return types.map((type, index) => {
    const value = values[index];
    if (type === "integer" && typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    if (type === "string" && typeof value === "string") return value;
    if (type === "digits" && typeof value === "string" && /^\d{1,20}$/.test(value)) return value;
    throw refusal;
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
