import { expect, test } from "bun:test";
import { assert, maxSafeNat, property, string } from "fast-check";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { Refusal } from "./refusal.ts";

test("gives back what went in, for the same query", () => {
  assert(
    property(string({ unit: "binary", maxLength: 64 }), maxSafeNat(), (text, number) => {
      const cursor = encodeCursor(["scope"], [number, text]);
      expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(decodeCursor(cursor, ["scope"], ["integer", "string"])).toEqual([number, text]);
    }),
  );
});

test("refuses a cursor of another query, of other types, or none at all", () => {
  const good = encodeCursor(["devices", "a"], [1, "x"]);
  const forged = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const refused: [string, readonly unknown[], readonly ("string" | "integer" | "digits")[]][] = [
    [good, ["devices", "b"], ["integer", "string"]],
    [good, ["devices", "a"], ["string", "integer"]],
    [good, ["devices", "a"], ["integer"]],
    [good, ["devices", "a"], ["integer", "digits"]],
    [good.slice(1), ["devices", "a"], ["integer", "string"]],
    [forged({}), [], []],
    [forged(null), [], []],
    [forged([]), [], []],
    [forged([1, "x", -1]), [], ["integer"]],
    ["x".repeat(5_000), [], []],
    ["'; DROP TABLE devices", [], []],
  ];
  for (const [text, scope, types] of refused) {
    expect(() => decodeCursor(text, scope, types)).toThrow(Refusal);
  }
});

test("refuses any text that it did not make", () => {
  assert(
    property(string({ unit: "binary" }), (text) => {
      expect(() => decodeCursor(text, ["scope"], ["integer", "string"])).toThrow(Refusal);
    }),
  );
});
