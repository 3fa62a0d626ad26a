import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { KeyRing, parseKeys } from "./keys.ts";

describe("a list of keys", () => {
  test("has names, secrets and, where allowed, prefixes that may hold colons", () => {
    expect(parseKeys("a:one, b:two:site:1:", "list", true)).toEqual({
      ok: true,
      entries: [
        { name: "a", secret: "one", prefix: null },
        { name: "b", secret: "two", prefix: "site:1:" },
      ],
    });
  });

  test("in a file is a key a line, with comments and blank lines, of either line ending", () => {
    const parsed = parseKeys("# fleet\r\n\r\na:one\r\n  b:two:pre,fix  \n", "file", true);
    expect(parsed).toEqual({
      ok: true,
      entries: [
        { name: "a", secret: "one", prefix: null },
        { name: "b", secret: "two", prefix: "pre,fix" },
      ],
    });
  });

  test.each([
    ["", "a name"],
    [" ", "a name"],
    ["a", "a secret"],
    ["a:", "a secret"],
    [":s", "a name"],
    ["a b:s", "a name"],
    ["a:sp ace", "a secret"],
    ["a:schlüssel", "a secret"],
    ["a:ｆｕｌｌ", "a secret"],
    ["a:nul\u0000", "a secret"],
    ["a:one,a:two", "twice"],
    ["a:one,b:one", "the same secret"],
    ["a:one:", "prefix"],
    ["__proto__ :s", "a name"],
    ["a:one,", "a name"],
    ["one-without-a-name", "key 1 must be name:secret"],
    ["a:two,one-without-a-name", "key 2 must be name:secret"],
    ["one:", "key 1 must be name:secret"],
    ["one:with its näme behind it", "key 1 must be name:secret"],
  ])("%p is refused, and the reason tells no secret", (text, reason) => {
    const parsed = parseKeys(text, "list", true);
    if (parsed.ok) throw new Error("taken");
    expect(parsed.reason).toContain(reason);
    expect(parsed.reason).not.toMatch(/\bone\b|sp ace|schl|ｆ|nul/);
  });

  test("a prefix is refused where it means nothing", () => {
    expect(parseKeys("a:one:site", "list", false).ok).toBe(false);
  });

  test("a file without a key is refused: an empty file is a mistake, not a revocation of everything", () => {
    expect(parseKeys("# nothing\n", "file", true).ok).toBe(false);
  });
});

describe("the ring", () => {
  const ring = new KeyRing<string>();
  const entries = Array.from({ length: 1_000 }, (_, index) => ({
    name: `key-${index}`,
    secret: `secret-${index}`,
    prefix: null,
  }));
  ring.replace(entries, (entry) => entry.name);

  test("finds a key by its secret, or by name and secret, and nothing else", () => {
    expect(ring.find("secret-7")).toBe("key-7");
    expect(ring.find("key-7:secret-7")).toBe("key-7");
    for (const presented of [
      "",
      "secret-",
      "secret-7 ",
      "Secret-7",
      "key-8:secret-7",
      ":secret-7",
      "key-7:",
      "key-7",
    ]) {
      expect(ring.find(presented)).toBeUndefined();
    }
  });

  test("never finds anything for a string that is no secret of it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 600 }), (presented) => {
        fc.pre(!/^(key-\d+:)?secret-\d+$/.test(presented));
        return ring.find(presented) === undefined;
      }),
      { numRuns: 5_000 },
    );
  });

  test("holds no secret in the clear", () => {
    const seen: string[] = [];
    const walk = (value: unknown): void => {
      if (typeof value === "string") seen.push(value);
      else if (value instanceof Map) for (const [key, each] of value) [key, each].forEach(walk);
      else if (Array.isArray(value)) value.forEach(walk);
      else if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value))
        Object.values(value).forEach(walk);
    };
    const text = Bun.inspect(ring, { depth: 10 });
    walk(ring);
    expect(`${text}${seen.join()}`).not.toContain("secret-7");
  });

  test("forgets what is not in the new list", () => {
    const changing = new KeyRing<string>();
    changing.replace([{ name: "a", secret: "one", prefix: null }], (entry) => entry.name);
    changing.replace([{ name: "b", secret: "two", prefix: null }], (entry) => entry.name);
    expect(changing.find("one")).toBeUndefined();
    expect(changing.named("a")).toBeUndefined();
    expect(changing.find("two")).toBe("b");
  });
});
