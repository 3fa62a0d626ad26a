/**
 * `npm run faults -- --seed S --rounds N [--only FAULT] [--mode embedded|external] [--sabotage NAME] [--keep] [--go-on] [--list]`: the real service and
 * the real engine under load, broken at random moments; then every acknowledged event is looked for. Exit code 1 on any
 * violation; the directory is then kept.
 */
import { parseArgs } from "node:util";
import { findFault, formatResult, runCampaign } from "./campaign.ts";
import { faults } from "./faults.ts";
import { stopOpenRigs } from "./rig.ts";
import { sabotages } from "./sabotage.ts";

const sabotageSettleTimeoutMs = 15_000;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    rounds: { type: "string", default: "30" },
    only: { type: "string" },
    mode: { type: "string" },
    sabotage: { type: "string" },
    keep: { type: "boolean", default: false },
    "go-on": { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
});

if (values.list) {
  process.stdout.write(`faults: ${faults.map(({ name }) => name).join(", ")}\n`);
  process.stdout.write(`sabotages: ${sabotages.map(({ name }) => name).join(", ")}\n`);
} else {
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
  const rounds = Number(values.rounds);
  if (!Number.isInteger(seed) || !Number.isInteger(rounds) || rounds < 1) {
    process.stderr.write("--seed and --rounds have to be whole numbers\n");
    process.exit(2);
  }
  if (values.only) findFault(values.only);
  process.stdout.write(`seed ${seed}\n`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void stopOpenRigs().then(() => process.exit(130)));
  }
  const result = await runCampaign({
    seed,
    rounds,
    ...(values.only ? { only: values.only } : {}),
    ...(values.mode === "embedded" || values.mode === "external" ? { mode: values.mode } : {}),
    ...(values.sabotage ? { sabotage: values.sabotage } : {}),
    keep: values.keep,
    // A break is to be noticed; it need not be waited for.
    ...(values.sabotage ? { settleTimeoutMs: sabotageSettleTimeoutMs } : {}),
    goOn: values["go-on"],
    progress: (line) => process.stdout.write(`${line}\n`),
  });
  process.stdout.write(`${formatResult(result, seed)}\n`);
  for (const violation of result.violations) process.stdout.write(`VIOLATION ${violation}\n`);
  process.exit(result.violations.length > 0 ? 1 : 0);
}
