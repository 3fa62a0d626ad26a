/** `npm run dead-letter -- list | show ID | replay [ID …|--all] [--url URL] [--key KEY] [--force]`. Safe while the service runs. */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { parseConfig } from "../../server/config.ts";
import { type DeadLetter, readDeadLetters, readReplays, recordReplays } from "./dead-letter.ts";

const usage = `npm run dead-letter -- list                     what ClickHouse refused, oldest first
npm run dead-letter -- show ID                  one letter, whole
npm run dead-letter -- replay ID … | --all      post the events again, with their own timestamps
  --url URL    the service (default http://127.0.0.1:8000)
  --key KEY    an ingest key, where keys are set
  --force      also letters whose earlier replay was cut off more than an hour ago, which may be stored already
DATA_DIR says where the letters are (default ./data).
`;

/** The service remembers an Idempotency-Key for an hour; a replay cut off before that may have been accepted and forgotten. */
const keyAgeMs = 3_500_000;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: process.argv.slice(2),
    allowPositionals: true,
    options: {
      all: { type: "boolean", default: false },
      force: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      url: { type: "string", default: "http://127.0.0.1:8000" },
      key: { type: "string" },
    },
  });
  const [command, ...ids] = positionals;
  const directory = join(resolve(parseConfig(process.env).DATA_DIR), "dead-letter");
  const letters = [...readDeadLetters(directory)];
  if (command === "list" && !values.help) return list(letters);
  if (command === "show" && ids.length === 1) return show(letters, ids[0] as string);
  if (command === "replay" && (values.all || ids.length > 0)) {
    const chosen = values.all ? letters : letters.filter(({ id }) => ids.includes(id));
    for (const id of ids)
      if (!chosen.some((letter) => letter.id === id)) process.stderr.write(`no dead letter ${id}\n`);
    const done = await replay(directory, chosen, values.url, values.key, values.force);
    process.stdout.write(`${done} of ${chosen.length} replayed\n`);
    return done === chosen.length && chosen.length >= ids.length ? 0 : 1;
  }
  process.stdout.write(usage);
  return values.help ? 0 : 2;
}

function list(letters: readonly DeadLetter[]): number {
  for (const { id, at, code, event, reason } of letters) {
    const words = reason.replaceAll(/\s+/g, " ").slice(0, 80);
    process.stdout.write(`${id}\t${at}\t${code ?? "-"}\t${event.device_id}\t${event.event_type}\t${words}\n`);
  }
  process.stderr.write(`${letters.length} dead letters\n`);
  return 0;
}

function show(letters: readonly DeadLetter[], id: string): number {
  const letter = letters.find((each) => each.id === id);
  if (!letter) process.stderr.write(`no dead letter ${id}\n`);
  else process.stdout.write(`${JSON.stringify(letter, null, 2)}\n`);
  return letter ? 0 : 1;
}

/** Posts one letter after the other under its own Idempotency-Key, so that a repeated replay stores nothing twice. */
async function replay(
  directory: string,
  letters: readonly DeadLetter[],
  url: string,
  key: string | undefined,
  force: boolean,
): Promise<number> {
  const begun = new Map(readReplays(directory).map(({ id, at }) => [id, Date.parse(at)]));
  let done = 0;
  for (const { id, event } of letters) {
    const earlier = begun.get(id);
    if (earlier !== undefined && Date.now() - earlier > keyAgeMs && !force) {
      process.stderr.write(`${id}: a replay was cut off over an hour ago; the event may be stored already (--force)\n`);
      continue;
    }
    if (earlier === undefined) recordReplays(directory, [{ id, at: new Date().toISOString(), state: "begun" }]);
    // When it was received is the server's to say.
    const { received_at: _, ...sent } = event;
    const response = await fetch(new URL("/ingest", url), {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Idempotency-Key": `dead-letter ${new Bun.CryptoHasher("sha256").update(id).digest("hex")}`,
        ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
      },
      body: JSON.stringify(sent),
    });
    if (response.status === 202) {
      recordReplays(directory, [{ id, at: new Date().toISOString(), state: "done" }]);
      done++;
    } else {
      process.stderr.write(`${id}: ${response.status} ${await response.text()}\n`);
    }
  }
  return done;
}

process.exitCode = await main();
