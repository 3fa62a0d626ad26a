import { textOf } from "../../base/error-text.ts";
import { type Fault, faults, mend, startWithNoRoom } from "./faults.ts";
import { recordHistory } from "./history-clients.ts";
import { runLoad } from "./load.ts";
import { createRandom, type Random } from "./random.ts";
import { createRig, type Mode, type Rig } from "./rig.ts";
import { type Verdict, verify } from "./verify.ts";

export interface CampaignOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Only this fault, one a round. */
  readonly only?: string;
  /** Only this kind of rig. */
  readonly mode?: Mode;
  readonly sabotage?: string;
  /** Keep the directories of good rounds, too. */
  readonly keep?: boolean;
  /** Keep nothing, not even what went wrong: it was meant to. */
  readonly discard?: boolean;
  /** Go on after a violation, with a new pair of processes. */
  readonly goOn?: boolean;
  /** How long what was accepted may take to be stored, once nothing is broken any more. */
  readonly settleTimeoutMs?: number;
  readonly progress: (line: string) => void;
}

export interface FaultTally {
  rounds: number;
  acknowledged: number;
  lost: number;
  doubled: number;
  deadLettered: number;
  violations: number;
}

export interface CampaignResult {
  readonly rounds: number;
  readonly acknowledged: number;
  readonly unheard: number;
  readonly refused: number;
  readonly deadLettered: number;
  readonly lost: number;
  readonly doubled: number;
  readonly violations: readonly string[];
  /** By fault; a round counts under each of its faults. */
  readonly tallies: ReadonlyMap<string, FaultTally>;
  /** Faults that this machine does not allow, and why. */
  readonly skipped: ReadonlyMap<string, string>;
  readonly seconds: number;
}

/** A pair of processes serves this many rounds: most of a round's time would otherwise be theirs. */
const roundsPerRig = 8;
const requestsPerRound = 150;
const loadMs = 1_200;
const poisonShare = 0.004;

/** Rounds of load under faults, each checked to the last event. Everything random comes from the seed. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const startedMs = performance.now();
  const random = createRandom(options.seed);
  const tallies = new Map<string, FaultTally>();
  const skipped = new Map<string, string>();
  const violations: string[] = [];
  const sum = { acknowledged: 0, unheard: 0, refused: 0, deadLettered: 0, lost: 0, doubled: 0 };
  let rig: Rig | undefined;
  let rigRounds = 0;
  let before: Verdict | undefined;
  let done = 0;

  const close = async (keep: boolean): Promise<void> => {
    await rig?.stop();
    if (!keep && !options.keep) rig?.remove();
    rig = undefined;
  };

  try {
    for (let round = 1; round <= options.rounds; round++) {
      const own = random.fork();
      if (!rig || rigRounds >= roundsPerRig) {
        await close(false);
        const modes = options.only ? findFault(options.only).modes : (["embedded", "external"] as const);
        const mode = options.mode ?? own.pick(modes);
        rig = await createRig({
          mode,
          journalOnSmallDisk: options.only ? options.only === "disk-full" : own.chance(0.5),
          dataOnSmallDisk: options.only === startWithNoRoom,
          replica: options.only ? options.only.startsWith("replica-") : own.chance(0.3),
          ...(options.sabotage ? { sabotage: options.sabotage } : {}),
        });
        rigRounds = 0;
        before = undefined;
      }
      rigRounds++;
      const chosen = choose(own, rig, options.only, skipped);
      const names = chosen.map(({ name }) => name);
      const roundStartedMs = performance.now();
      const found: string[] = [];
      const history = recordHistory(rig, own.fork(), { prefix: `h${round}`, overMs: loadMs });
      try {
        // A sabotage is noticed without it, and sooner.
        // And a dead letter needs room.
        const noPoison = options.sabotage !== undefined || options.only === startWithNoRoom;
        await runRound(rig, own, chosen, `r${round}`, noPoison ? 0 : poisonShare);
      } catch (error) {
        found.push(textOf(error));
        await mend(rig);
      }
      const verdict = await verify(rig, options.settleTimeoutMs);
      found.push(...verdict.violations, ...(await history.check()));
      const fresh = difference(verdict, before);
      before = verdict;
      done++;
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += fresh[key];
      for (const name of names) {
        const tally = tallies.get(name) ?? emptyTally();
        tally.rounds++;
        tally.acknowledged += fresh.acknowledged;
        tally.lost += fresh.lost;
        tally.doubled += fresh.doubled;
        tally.deadLettered += fresh.deadLettered;
        tally.violations += found.length;
        tallies.set(name, tally);
      }
      const seconds = ((performance.now() - roundStartedMs) / 1000).toFixed(1);
      options.progress(
        `round ${round}/${options.rounds}  ${rig.mode}  ${seconds} s  ${fresh.acknowledged} acknowledged, ` +
          `${fresh.unheard} unheard, ${fresh.refused} refused, ${fresh.deadLettered} dead-lettered  ${names.join(" + ")}`,
      );
      if (found.length > 0) {
        violations.push(...found.map((text) => `round ${round} (${names.join(" + ")}): ${text}; ${rig?.directory}`));
        for (const text of found) options.progress(`  VIOLATION ${text}`);
        if (!options.discard) options.progress(`  kept: ${rig.directory}`);
        await close(!options.discard);
        if (!options.goOn) break;
      }
    }
  } finally {
    await close(violations.length > 0 && !options.goOn && !options.discard);
  }
  return {
    rounds: done,
    ...sum,
    violations,
    tallies,
    skipped,
    seconds: (performance.now() - startedMs) / 1000,
  };
}

/** Load, and faults at random moments of it: those of one group after each other, the groups side by side. */
async function runRound(
  rig: Rig,
  random: Random,
  chosen: readonly Fault[],
  prefix: string,
  poisonShare: number,
): Promise<void> {
  const load = runLoad(rig.ledger, random.fork(), {
    url: rig.url,
    prefix,
    requests: requestsPerRound,
    overMs: loadMs,
    poisonShare,
  });
  const groups = Map.groupBy(chosen, ({ group }) => group);
  const breaking = [...groups.values()].map(async (group) => {
    const own = random.fork();
    for (const fault of group) {
      await Bun.sleep(own.integer(0, loadMs / group.length));
      await fault.run(rig, own);
    }
  });
  const outcomes = await Promise.allSettled([load, ...breaking]);
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
}

function choose(random: Random, rig: Rig, only: string | undefined, skipped: Map<string, string>): Fault[] {
  const possible = faults.filter((fault) => {
    if (!fault.modes.includes(rig.mode)) return false;
    const why = fault.unavailable?.(rig);
    if (why !== undefined) skipped.set(fault.name, why);
    else skipped.delete(fault.name);
    return why === undefined;
  });
  if (only) return possible.filter(({ name }) => name === only);
  const count = random.integer(1, 3);
  const chosen = new Set<Fault>();
  while (chosen.size < count) chosen.add(random.pick(possible));
  return [...chosen];
}

export function findFault(name: string): Fault {
  const fault = faults.find((each) => each.name === name);
  if (!fault) throw new Error(`no fault ${name}; there are ${faults.map((each) => each.name).join(", ")}`);
  return fault;
}

const emptyTally = (): FaultTally => ({
  rounds: 0,
  acknowledged: 0,
  lost: 0,
  doubled: 0,
  deadLettered: 0,
  violations: 0,
});

function difference(now: Verdict, before: Verdict | undefined): Omit<Verdict, "violations"> {
  const keys = ["acknowledged", "unheard", "refused", "deadLettered", "lost", "doubled"] as const;
  const fresh = { acknowledged: 0, unheard: 0, refused: 0, deadLettered: 0, lost: 0, doubled: 0 };
  for (const key of keys) fresh[key] = now[key] - (before?.[key] ?? 0);
  return fresh;
}

/** The table at the end of a run. */
export function formatResult(result: CampaignResult, seed: number): string {
  const heading = ["fault", "rounds", "acknowledged", "lost", "doubled", "dead-lettered", "violations"];
  const rows = [...result.tallies]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, tally]) => [name, ...Object.values(toColumns(tally))]);
  rows.push(["all", ...Object.values(toColumns({ ...result, violations: result.violations.length }))]);
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ");
  return [
    "",
    line(heading),
    ...rows.map(line),
    "",
    "A round counts under each of its faults; the last line counts it once. Lost and doubled have to be 0.",
    ...[...result.skipped].map(([name, why]) => `skipped: ${name}: ${why}`),
    `seed ${seed}, ${result.rounds} rounds, ${result.seconds.toFixed(0)} s, ${result.unheard} events of unheard requests, ${result.refused} refused`,
  ].join("\n");
}

function toColumns(tally: FaultTally): string[] {
  const { rounds, acknowledged, lost, doubled, deadLettered, violations } = tally;
  return [rounds, acknowledged, lost, doubled, deadLettered, violations].map(String);
}
