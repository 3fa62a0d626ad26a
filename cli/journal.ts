import { parseArgs } from "node:util";
import { parseConfig } from "../server/config/config.ts";
import { checkJournal } from "./journal-check.ts";

const help = `The journal of events that are not in ClickHouse yet. DATA_DIR says where; the service may be running

  sluice journal check    each file: its rows, and whether every frame's checksum holds
`;

export function journal(args: readonly string[]): number {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h" } },
  });
  if (values.help) return say(help);
  if (positionals.length !== 1 || positionals[0] !== "check") {
    process.stderr.write("journal: use check\n");
    return 2;
  }
  return verifyJournal(parseConfig(process.env).storage.dataDirectory);
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

function say(text: string, code = 0): number {
  process.stdout.write(text);
  return code;
}
