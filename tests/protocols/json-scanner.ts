/**
 * `bun tests/protocols/json-scanner.ts [--bodies 1000000] [--seed S]`: the JSON scanner beside `JSON.parse` and the schema, on
 * generated and damaged bodies. The short form is in event-scanner.test.ts.
 */
import { parseArgs } from "node:util";
import fc from "fast-check";
import { damagedBody, damagedLines } from "../../testing/json-bodies.ts";
import { compare, counts } from "../../testing/scanner-comparison.ts";

const { values } = parseArgs({
  options: {
    bodies: { type: "string", default: "1000000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});
const numRuns = Math.ceil(Number(values.bodies) / 2);
const seed = Number(values.seed);
process.stdout.write(`seed ${seed}\n`);
fc.assert(
  fc.property(damagedBody, (value) => compare(value, false)),
  { numRuns, seed },
);
fc.assert(
  fc.property(damagedLines, (value) => compare(value, true)),
  { numRuns, seed },
);
process.stdout.write(`${2 * numRuns} bodies: ${counts.taken} scanned, the same to the byte; `);
process.stdout.write(`${counts.doubted} left to the slow path, ${counts.refused} refused by both\n`);
