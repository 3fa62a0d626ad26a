/** `npm run faults:device -- --rounds 20 --events 10000 --seed 1`: kills the device client and the service at random. */
import { parseArgs } from "node:util";
import { runCampaign } from "./campaign.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    events: { type: "string", default: "10000" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e6)) },
  },
});
const seed = Number(values.seed);
console.log(`seed ${seed}`);
const rounds = await runCampaign({
  rounds: Number(values.rounds),
  events: Number(values.events),
  seed,
  say: (line) => console.log(line),
});
const sum = (pick: (round: (typeof rounds)[number]) => number): number =>
  rounds.reduce((all, each) => all + pick(each), 0);
const wrong = rounds.flatMap((round, index) => round.wrong.map((what) => `round ${index + 1}: ${what}`));
console.log(
  [
    `${rounds.length} rounds, ${sum((r) => r.sent)} events sent, ${sum((r) => r.stored)} stored`,
    `${sum((r) => r.clientKills)} kills of the client, ${sum((r) => r.serviceKills)} of the service`,
    `${sum((r) => r.storedTwice)} stored twice, ${sum((r) => Math.max(0, r.lost))} lost, ${sum((r) => r.evicted)} evicted and reported`,
    ...wrong,
  ].join("\n"),
);
process.exit(wrong.length === 0 ? 0 : 1);
