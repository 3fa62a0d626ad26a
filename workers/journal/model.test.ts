import { describe, expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { BrokenPromise, type End, JournalModel, type ModelOptions, type Step } from "../../testing/journal-model.ts";
import type { Break, CallKind } from "../../testing/simulated-disk.ts";

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
  kinds: fc.oneof(
    fc.constant(writing),
    fc.constant<CallKind[]>(["write", "create"]),
    fc.subarray(writing, { minLength: 1 }),
  ),
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

type Options = Omit<ModelOptions, "seed">;

/** Answers how often each thing happened in all runs together. */
async function checkModel(numRuns: number, firstSeed: number, options: Options): Promise<Record<string, number>> {
  const totals: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(steps, fc.integer(), async (plan, diskSeed) => {
      const model = new JournalModel({ ...options, seed: diskSeed });
      await model.run(plan);
      for (const [what, count] of Object.entries(model.counts)) totals[what] = (totals[what] ?? 0) + count;
    }),
    { numRuns, seed: firstSeed },
  );
  return totals;
}

describe("the journal's promises, on a simulated disk", () => {
  test(`what was accepted is found once, in order, in the same batches, after any crash (${runs} runs, seed ${seed})`, async () => {
    const totals = await checkModel(runs, seed, {});
    // A model that never gets anywhere would pass, too.
    for (const [what, count] of Object.entries(totals)) expect(`${what} ${count >= runs / 50}`).toBe(`${what} true`);
  }, 900_000);
});

/** A fixed seed: here the question is whether the test can fail, not whether it does today. */
async function expectNoticed(options: Options): Promise<void> {
  const outcome: unknown = await checkModel(breakRuns, 1, options).catch((error: Error) => error.cause);
  expect(outcome).toBeInstanceOf(BrokenPromise);
}

describe("the model test notices when", () => {
  const breaks: [string, Options][] = [
    ...(
      [
        "sync does nothing",
        "sync forgets the length",
        "sync forgets the header",
        "recovery does not sync",
        "recovery does not write",
        "directory sync does nothing",
        "truncate does nothing",
        "remove does nothing",
        "key log is not written",
        "key log is not synced",
        "notes are not written",
        "notes are not synced",
      ] satisfies Break[]
    ).map((name): [string, Options] => [name, { breaks: new Set([name]) }]),
    ["random ids repeat, so that tokens come again", { repeatIds: true }],
  ];
  for (const [name, options] of breaks) {
    test(name, async () => {
      await expectNoticed(options);
    }, 120_000);
  }

  test("checksums are not looked at", async () => {
    const blind = spyOn(Bun.hash, "crc32").mockReturnValue(0);
    try {
      await expectNoticed({});
    } finally {
      blind.mockRestore();
    }
  }, 120_000);
});
