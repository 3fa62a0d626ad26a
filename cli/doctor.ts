import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "../package.json" with { type: "json" };
import { parseConfig } from "../server/config/config.ts";
import { checkFiles } from "./config.ts";
import { examineDisk } from "./doctor/disk.ts";
import { bad, type Finding, ok } from "./doctor/finding.ts";
import { examineKeys } from "./doctor/keys.ts";
import { examineMachine } from "./doctor/machine.ts";
import { examineClickHouse, examineRedis, examineService } from "./doctor/services.ts";

const help = `Looks whether Sluice can run here, with the settings of the environment, and says what to do where it cannot

  sluice doctor           the data directory and its disk, memory, open files, clock, settings, keys, ports,
                          the engine or CLICKHOUSE_URL, and Redis where REDIS_URL is set
  sluice doctor --json    the same as JSON

It starts an engine of its own in a temporary directory, unless the service is running, and changes nothing.
Exit code 1 when something does not work; a note (!) is something that works and could be better.
`;
const marks = { ok: "✓", note: "!", bad: "✗" } as const;

export async function doctor(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { help: { type: "boolean", short: "h" }, json: { type: "boolean", default: false } },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const findings: Finding[] = [];
  for await (const finding of examine()) {
    findings.push(finding);
    if (!values.json) process.stdout.write(lineOf(finding));
  }
  const count = (state: Finding["state"]): number => findings.filter((each) => each.state === state).length;
  const summary = count("bad") > 0 ? `${count("bad")} to mend` : "nothing to mend";
  const notes = count("note") === 1 ? "1 note" : `${count("note")} notes`;
  process.stdout.write(values.json ? `${JSON.stringify({ findings }, null, 2)}\n` : `\n${summary}, ${notes}\n`);
  return count("bad") > 0 ? 1 : 0;
}

async function* examine(): AsyncGenerator<Finding> {
  const config = parseConfig(process.env);
  yield ok("version", `Sluice ${packageJson.version}, Bun ${Bun.version}, ${process.platform} ${process.arch}`);
  const faults = checkFiles(config);
  yield* faults.map((fault) => bad("settings", fault, "sluice config shows them all"));
  if (faults.length === 0) yield ok("settings", "all can be used");
  if (!existsSync(join(import.meta.dir, "../client/dist/index.html"))) {
    yield bad("dashboard", "it is not built", "npm run build");
  }
  yield* examineDisk(resolve(config.storage.dataDirectory), config.storage.journalMaxBytes);
  yield* examineMachine(config.liveView.streamsMax);
  if (faults.length === 0) yield* examineKeys(config);
  const service = await examineService(config);
  yield* service.findings;
  yield* await examineClickHouse(config, service.running);
  yield* await examineRedis(config.redis.url);
}

function lineOf({ what, state, detail, advice }: Finding): string {
  const indent = " ".repeat(20);
  return `${marks[state]} ${what.padEnd(17)} ${detail}\n${advice === undefined ? "" : `${indent}→ ${advice}\n`}`;
}
