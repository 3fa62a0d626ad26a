import { expect, test } from "bun:test";
import { ensureLanguage } from "./browser-language.ts";

test("a language that Intl refuses is English", () => {
  const browser = { language: "C" };
  ensureLanguage(browser);
  expect(browser.language).toBe("en-US");
});
test("any other stays", () => {
  const browser = { language: "de-AT" };
  ensureLanguage(browser);
  expect(browser.language).toBe("de-AT");
});
