/** `npm run admin -- COMMAND`: what an operator does beside the running service. Entry point; `--help` lists the commands. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeConfig, parseConfig } from "../server/config/config.ts";
import { ConfigError } from "../server/config/config-error.ts";
import { type DeadLetter, readDeadLetters } from "../workers/writer/dead-letter.ts";
import { checkJournal } from "./journal-check.ts";
import { rotateKey } from "./rotate-key.ts";

const help = `Sluice: maintenance

  config                      every setting with its value in force, secrets masked
  verify-journal              check every frame of the journal; the service may be running
  dead-letters                events that ClickHouse refused, by reason; \`npm run dead-letter\` shows and replays them
  rotate-keys FILE NAME       give the key NAME in a file of keys a new secret, or add it

Settings come from the environment, as the service's do (DATA_DIR says where the data is).
`;

function main(): number {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h" } },
  });
  const [command, ...rest] = positionals;
  if (values.help || command === undefined) return say(help, command === undefined && !values.help ? 2 : 0);
  switch (command) {
    case "config":
      return printConfig();
    case "verify-journal":
      return verifyJournal(parseConfig(process.env).storage.dataDirectory);
    case "dead-letters":
      return printDeadLetters(parseConfig(process.env).storage.dataDirectory);
    case "rotate-keys":
      return printRotation(rest);
    default:
      return complain(`${command}: allowed is config, verify-journal, dead-letters or rotate-keys`);
  }
}

function say(text: string, code = 0): number {
  process.stdout.write(text);
  return code;
}

function complain(text: string): number {
  process.stderr.write(`${text}\n`);
  return 2;
}

function printConfig(): number {
  const lines = Object.entries(describeConfig(parseConfig(process.env))).map(
    ([name, value]) => `${name}=${value === null ? "" : String(value)}`,
  );
  return say(`${lines.join("\n")}\n`);
}

/** 1 when something is wrong. A tail may be torn by a crash or being written; it is named and is no error. */
function verifyJournal(dataDirectory: string): number {
  const files = checkJournal(dataDirectory);
  let wrong = 0;
  for (const file of files) {
    const notes = [
      ...(file.fault === null ? [] : [file.fault]),
      ...(file.damagedBytes === 0 ? [] : [`${file.damagedBytes} bytes are damaged, ${file.missingRows} rows missing`]),
      ...(file.tailBytes === 0 ? [] : [`${file.tailBytes} bytes behind the last whole frame`]),
    ];
    if (file.fault !== null || file.damagedBytes > 0) wrong++;
    say(
      `${file.name}: ${file.bytes} bytes, ${file.rows} rows${notes.length === 0 ? ", whole" : `; ${notes.join("; ")}`}\n`,
    );
  }
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  return say(`${files.length} files, ${rows} rows, ${wrong} with damage\n`, wrong === 0 ? 0 : 1);
}

function printDeadLetters(dataDirectory: string): number {
  const letters = [...readDeadLetters(join(dataDirectory, "dead-letter"))];
  say(`${letters.length} dead letters in ${join(dataDirectory, "dead-letter")}\n`);
  const groups = Map.groupBy(letters, (letter) => letter.code);
  for (const [code, group] of [...groups].sort((a, b) => b[1].length - a[1].length)) printGroup(code, group);
  return 0;
}

function printGroup(code: number | null, group: readonly DeadLetter[]): void {
  const first = group[0];
  if (first === undefined) return;
  const types = [...Map.groupBy(group, (letter) => letter.event.event_type)]
    .sort((a, b) => b[1].length - a[1].length)
    .slice(0, 5)
    .map(([type, each]) => `${type} (${each.length})`);
  say(`\n${group.length} × ${code === null ? "no code" : `code ${code}`}, ${first.at} to ${group.at(-1)?.at}\n`);
  say(`  ${first.reason}\n  event types: ${types.join(", ")}\n`);
}

function printRotation([file, name]: readonly string[]): number {
  if (file === undefined || name === undefined) return complain("rotate-keys: FILE and NAME are needed");
  const result = rotateKey(file, name);
  if (!result.ok) return complain(`${file}: ${result.reason}; nothing was changed`);
  // The only time that the secret is shown: the service keeps its hash.
  say(`${result.added ? "added" : "rotated"} ${name} in ${file}; its secret is\n${result.secret}\n`);
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof ConfigError) && !(error instanceof TypeError)) throw error;
  process.exitCode = complain(error.message);
}
