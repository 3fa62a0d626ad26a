import { expect, test } from "bun:test";
import { fuzz } from "./fuzz.ts";

const inputs = 5_000;

test("5,000 inputs to the routes of other protocols: no 5xx, every refusal in shape, every good line stored", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const report = await fuzz({ inputs, seed });
  expect({ seed, faults: report.faults }).toEqual({ seed, faults: [] });
  expect(report.inputs).toBe(inputs);
  expect(report.events).toBeGreaterThan(inputs / 10);
}, 180_000);
