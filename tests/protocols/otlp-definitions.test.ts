import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { generatedDirectory, generateOtlpCode } from "./otlp-definitions.ts";

test("the generated code is what the definitions beside it give", () => {
  const generated = generateOtlpCode();
  expect(generated.size).toBe(12);
  for (const [name, content] of generated) {
    expect(readFileSync(join(generatedDirectory, name), "utf8")).toBe(content);
  }
});
