import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type End, JournalModel, type ModelOptions, type Step } from "./journal-model.ts";
import type { Break, CallKind } from "./simulated-disk.ts";

/** `JOURNAL_MODEL_RUNS` for long runs; `JOURNAL_MODEL_SEED` repeats one. */
const runs = Number(process.env.JOURNAL_MODEL_RUNS ?? 600);
const seed = Number(process.env.JOURNAL_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** A break shows in a few of a hundred runs at worst. */
const breakRuns = 1500;

const ends = fc.constantFrom<End>("kill", "power cut");
const writing: CallKind[] = ["create", "write", "sync", "truncate", "remove", "rename", "directory"];

const append = fc.record({
  do: fc.constant("append" as const),
  rowBytes: fc.array(fc.oneof({ weight: 4, arbitrary: fc.nat(40) }, fc.nat(1600)), { minLength: 1, maxLength: 4 }),
  keyed: fc.boolean(),
});
const die = fc.record({
  do: fc.constant("die" as const),
  after: fc.nat(14),
  how: ends,
  again: fc.array(fc.nat(25), { maxLength: 2 }),
});
const fail = fc.record({
  do: fc.constant("fail" as const),
  after: fc.nat(3),
  count: fc.integer({ min: 1, max: 5 }),
  kinds: fc.oneof(fc.constant(writing), fc.subarray(writing, { minLength: 1 })),
  code: fc.constantFrom("ENOSPC", "EIO", "EACCES"),
});
const index = fc.nat(7);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: append },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("seal" as const) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("commit" as const), index }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("split" as const), index }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.nat(2_400_000) }) },
    { weight: 3, arbitrary: die },
    { weight: 2, arbitrary: fail },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("end" as const), how: ends }) },
  ),
  { maxLength: 40, size: "max" },
);

async function checkModel(numRuns: number, firstSeed: number, options: Omit<ModelOptions, "seed">): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, fc.integer(), (plan, diskSeed) =>
      new JournalModel({ ...options, seed: diskSeed }).run(plan),
    ),
    { numRuns, seed: firstSeed },
  );
}

describe("the journal's promises, on a simulated disk", () => {
  test(
    `what was accepted is found once, in order, in the same batches, after any crash (${runs} runs, seed ${seed})`,
    () => checkModel(runs, seed, {}),
    600_000,
  );
});

describe("the model test notices when", () => {
  const breaks: [string, Omit<ModelOptions, "seed">][] = [
    ...(
      [
        "sync does nothing",
        "sync forgets the length",
        "sync forgets the header",
        "recovery does not sync",
        "directory sync does nothing",
        "truncate does nothing",
        "remove does nothing",
        "key log is not written",
        "key log is not synced",
        "notes are not written",
        "notes are not synced",
      ] satisfies Break[]
    ).map((name): [string, Omit<ModelOptions, "seed">] => [name, { breaks: new Set([name]) }]),
    ["random ids repeat, so that tokens come again", { repeatIds: true }],
  ];
  for (const [name, options] of breaks) {
    test(name, async () => {
      // A fixed seed: here the question is whether the test can fail, not whether it does today.
      await expect(checkModel(breakRuns, 1, options)).rejects.toThrow(/Property failed/);
    }, 120_000);
  }
});
