import { expect, test } from "bun:test";
import { fuzzFraming } from "./framing-fuzz.ts";

test("4,000 connections of damaged framing: what was answered 2xx is stored once, and anything else is not", async () => {
  const seed = Math.floor(Math.random() * 2 ** 30);
  const report = await fuzzFraming({ cases: 4_000, seed });
  // The seed is in the message, so that a failure can be had again.
  expect({ seed, faults: report.faults }).toEqual({ seed, faults: [] });
  expect(report.stored).toBeGreaterThan(2_000);
}, 120_000);
