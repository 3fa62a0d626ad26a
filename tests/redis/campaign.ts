/**
 * Fault campaign over Redis: `bun tests/redis/campaign.ts --rounds 100 --seed 1`. Each round posts through all instances,
 * does something terrible meanwhile, and then looks whether every acknowledged event is in the table once, the rollups
 * agree, and so do the streams of all instances. Exit code 1 at the first round that fails. `--fault NAME` repeats one of
 * `faults` instead of drawing among them.
 */
import { parseArgs } from "node:util";
import { createRandom } from "../../base/random.ts";
import { redisProgram, startFleet } from "./rig.ts";
import { faults, post, verify } from "./rounds.ts";

const quick = { FLUSH_INTERVAL: "0.2", AGGREGATION_INTERVAL: "0.5", LOG_LEVEL: "warn" };

interface Tally {
  rounds: number;
  events: number;
  refusals: number;
  slowestRefusalMs: number;
  unknown: number;
  streamsMs: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "100" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      posts: { type: "string", default: "100" },
      fault: { type: "string" },
    },
  });
  const say = (line: string): boolean => process.stdout.write(`${line}\n`);
  if (redisProgram === null) {
    say("redis-server is not installed");
    return 2;
  }
  const seed = Number(values.seed);
  const posts = Number(values.posts);
  const random = createRandom(seed);
  const names = Object.keys(faults).filter((name) => values.fault === undefined || name === values.fault);
  if (names.length === 0) {
    say(`--fault ${values.fault}: allowed are ${Object.keys(faults).join("; ")}`);
    return 2;
  }
  const fleet = await startFleet(3, quick);
  const tallies = new Map<string, Tally>();
  const tallyOf = (name: string): Tally => {
    const known = tallies.get(name) ?? {
      rounds: 0,
      events: 0,
      refusals: 0,
      slowestRefusalMs: 0,
      unknown: 0,
      streamsMs: 0,
    };
    tallies.set(name, known);
    return known;
  };
  try {
    for (let round = 1; round <= Number(values.rounds); round++) {
      const name = names[Math.floor(random() * names.length)] as string;
      const startedMs = performance.now();
      const type = `round-${seed}-${round}`;
      // Somewhere in the load, by what was offered and not by time: on a fast machine it would mostly be over before.
      const hitAt = Math.floor(random() * posts);
      const hit = Promise.withResolvers<void>();
      const load = post(fleet, {
        type,
        posters: 6,
        eventsPerPost: 200,
        posts,
        onOffer: (batch) => {
          if (batch === hitAt) hit.resolve();
        },
      });
      try {
        await Promise.race([load, hit.promise]);
        const [ledger] = await Promise.all([load, faults[name]?.(fleet, random)]);
        const { events, streamsMs } = await verify(fleet, type, ledger);
        for (const tally of [tallyOf(name), tallyOf("all")]) {
          tally.rounds++;
          tally.events += events;
          tally.refusals += ledger.refusals;
          tally.slowestRefusalMs = Math.max(tally.slowestRefusalMs, Math.round(ledger.slowestRefusalMs));
          tally.unknown += ledger.unknown.size;
          tally.streamsMs = Math.max(tally.streamsMs, Math.round(streamsMs));
        }
        const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
        say(
          `round ${round}: ${name}: ${events} events, ${ledger.refusals} refusals (slowest ${ledger.slowestRefusalMs.toFixed(0)} ms), ${ledger.unknown.size} unknown, streams right after ${streamsMs.toFixed(0)} ms, ${seconds} s`,
        );
      } catch (error) {
        say(`round ${round} FAILED (seed ${seed}): ${name}: ${String(error)}`);
        for (const [index, service] of fleet.instances.entries())
          say(`-- instance ${index}\n${service?.log().slice(-3000)}`);
        return 1;
      }
    }
    say("| fault | rounds | events | refusals | slowest refusal, ms | batches unanswered | streams right after, ms |");
    say("|---|---|---|---|---|---|---|");
    for (const [name, tally] of [...tallies].sort(([a], [b]) => Number(a === "all") - Number(b === "all")))
      say(`| ${[name, ...Object.values(tally)].join(" | ")} |`);
    say(`seed ${seed}: every acknowledged event stored once, nothing lost, nothing doubled`);
    return 0;
  } finally {
    await fleet.dispose();
  }
}

process.exit(await main());
