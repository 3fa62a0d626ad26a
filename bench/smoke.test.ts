import { describe, expect, test } from "bun:test";
import type { Case } from "./case.ts";
import { cases } from "./cases/index.ts";
import { runInChild } from "./run.ts";

/** Starting and stopping every system of a case takes longer than its second of load. */
const caseTimeoutMs = 240_000;

/** An older Sluice runs in one case here: in the others it would only show once more that it starts. */
const isRepetition = (subject: Case, contestant: string): boolean =>
  contestant === "before" && subject.name !== "ingest-1000";

describe("every case runs to its end and loses nothing", () => {
  for (const subject of cases) {
    const missing = subject.contestants.filter((contestant) => contestant.missing() !== null);
    test(
      subject.name,
      async () => {
        const contestants = subject.contestants.map(({ name }) => name).filter((name) => !isRepetition(subject, name));
        const result = await runInChild(subject, { seconds: null, repeat: null, scale: "smoke", contestants });
        const failed = result.contestants.filter(({ status }) => status === "failed");
        expect(failed.map(({ name, why }) => `${name}: ${why}`)).toEqual([]);
        for (const contestant of result.contestants)
          if (contestant.status === "ok")
            expect(contestant.medians).toContainAnyKeys(result.headline.filter((_, index) => index === 0));
      },
      caseTimeoutMs,
    );
    for (const contestant of missing)
      test.skip(`${subject.name}: ${contestant.name} needs ${contestant.missing()}`, () => undefined);
  }
});
