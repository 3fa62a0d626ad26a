import { expect, test } from "bun:test";
import { fuzz } from "./fuzz.ts";

const inputs = 20_000;

test("20,000 inputs: no 5xx but 503, no crash, nothing stuck, memory flat, and what was accepted reads back equal", async () => {
  const seed = Math.floor(Math.random() * 2 ** 30);
  const report = await fuzz({ inputs, seed });
  // The seed is in the message, so that a failure can be had again.
  expect({ seed, faults: report.faults }).toEqual({ seed, faults: [] });
  expect(report.inputs).toBe(inputs);
  expect(report.acceptedEvents).toBeGreaterThan(inputs / 10);
  // It grows into its buffers at first; a leak of a kilobyte an input would show as 10 MiB in the second half.
  const [half = 0, end = 0] = [report.residentMib[4], report.residentMib[9]];
  expect(end - half).toBeLessThan(96);
}, 120_000);
