/**
 * Fault campaign over Redis: `bun tests/redis/campaign.ts --rounds 100 --seed 1`. Each round posts through all instances,
 * does something terrible meanwhile, and then looks whether every acknowledged event is in the table once, the rollups
 * agree, and so do the streams of all instances. Exit code 1 at the first round that fails.
 */
import { parseArgs } from "node:util";
import { redisProgram, startFleet } from "./rig.ts";
import { createRandom, durableRows, faults, post, verify } from "./rounds.ts";

const quick = { FLUSH_INTERVAL: "0.2", AGGREGATION_INTERVAL: "0.5", LOG_LEVEL: "warn" };

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "100" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      posts: { type: "string", default: "60" },
    },
  });
  const say = (line: string): boolean => process.stdout.write(`${line}\n`);
  if (redisProgram === null) {
    say("redis-server is not installed");
    return 2;
  }
  const seed = Number(values.seed);
  const random = createRandom(seed);
  const names = Object.keys(faults);
  const fleet = await startFleet(3, quick);
  let events = 0;
  let refusals = 0;
  try {
    for (let round = 1; round <= Number(values.rounds); round++) {
      const name = names[Math.floor(random() * names.length)] as string;
      const startedMs = performance.now();
      const type = `round-${seed}-${round}`;
      const durable = await durableRows(fleet);
      const load = post(fleet, { type, posters: 6, eventsPerPost: 200, posts: Number(values.posts) });
      // Somewhere in the load, and sometimes just after it.
      await Promise.race([load, Bun.sleep(600 * random())]);
      const [ledger] = await Promise.all([load, faults[name]?.(fleet, random)]);
      try {
        const stored = await verify(fleet, type, ledger, durable);
        events += stored;
        refusals += ledger.refusals;
        const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
        say(
          `round ${round}: ${name}: ${stored} events, ${ledger.refusals} refusals (slowest ${ledger.slowestRefusalMs.toFixed(0)} ms), ${ledger.unknown.size} unknown, ${seconds} s`,
        );
      } catch (error) {
        say(`round ${round} FAILED (seed ${seed}): ${name}: ${String(error)}`);
        for (const [index, service] of fleet.instances.entries())
          say(`-- instance ${index}\n${service?.log().slice(-3000)}`);
        return 1;
      }
    }
    say(
      `${values.rounds} rounds, seed ${seed}: ${events} events stored once, ${refusals} refusals, nothing lost, nothing doubled`,
    );
    return 0;
  } finally {
    await fleet.dispose();
  }
}

process.exit(await main());
