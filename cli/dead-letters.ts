import { join } from "node:path";
import { parseArgs } from "node:util";
import { lockDirectory } from "../base/directory-lock.ts";
import { parseConfig } from "../server/config/config.ts";
import { type DeadLetter, readDeadLetters, readReplays } from "../workers/writer/dead-letter.ts";
import { replayLetters } from "../workers/writer/replay.ts";
import { serviceUrl } from "./service-client.ts";

const help = `Dead letters: events that ClickHouse refused. DATA_DIR says where; the service may be running

  sluice dead-letters summary                by ClickHouse's error code, with the reason and the types
  sluice dead-letters list                   one line each: id, when, code, device, event type, reason
  sluice dead-letters show ID                the letter as JSON
  sluice dead-letters replay ID… | --all     sends the events to the service again, with their own timestamps

    --url URL      the service (default: HOST and PORT of the environment)
    --key SECRET   an ingest key
    --force        also what a replay that was cut off more than an hour ago may have sent already

A replay sends each event under its letter's id as Idempotency-Key, so it is stored once however often the replay is
repeated within an hour. What was accepted is no letter any more; what ClickHouse refuses again is a new one.
`;
const reasonShown = 100;

export async function deadLetters(args: readonly string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      all: { type: "boolean", default: false },
      force: { type: "boolean", default: false },
      url: { type: "string" },
      key: { type: "string" },
    },
  });
  const [command, ...ids] = positionals;
  if (values.help || command === undefined) return say(help, values.help ? 0 : 2);
  const { storage } = parseConfig(process.env);
  const directory = join(storage.dataDirectory, "dead-letter");
  switch (command) {
    case "summary":
      return summarize(directory);
    case "list":
      return list(directory);
    case "show":
      return show(directory, ids[0]);
    case "replay": {
      if (values.all === ids.length > 0) return complain("replay: name the letters, or --all");
      const chosen = choose(directory, values.all ? null : ids);
      if (typeof chosen === "string") return complain(chosen);
      if (chosen.length === 0) return say("there are no dead letters\n");
      const lock = lockDirectory(directory);
      if (!lock.ok) return complain("another replay is running on this directory");
      try {
        const result = await replayLetters(
          { fetch, now: () => new Date(), pause: (ms) => Bun.sleep(ms), say: warn },
          {
            directory,
            url: values.url ?? serviceUrl(process.env),
            key: values.key ?? null,
            force: values.force,
          },
          chosen,
        );
        say(`${result.replayed} of ${chosen.length} replayed\n`);
        return result.refused + result.left > 0 ? 1 : 0;
      } finally {
        lock.release();
      }
    }
    default:
      return complain(`dead-letters: use summary, list, show or replay, not ${command}`);
  }
}

function summarize(directory: string): number {
  const letters = [...readDeadLetters(directory)];
  say(`${letters.length} dead letters in ${directory}\n`);
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

function list(directory: string): number {
  const begun = new Set(readReplays(directory).flatMap(({ id, state }) => (state === "begun" ? [id] : [])));
  let count = 0;
  for (const { id, at, code, event, reason } of readDeadLetters(directory)) {
    const words = reason.replaceAll(/\s+/g, " ").slice(0, reasonShown);
    const note = begun.has(id) ? "a replay of it was cut off; " : "";
    say(`${id}\t${at}\t${code ?? "-"}\t${event.device_id}\t${event.event_type}\t${note}${words}\n`);
    count++;
  }
  process.stderr.write(`${count} dead letters in ${directory}\n`);
  return 0;
}

function show(directory: string, id: string | undefined): number {
  if (id === undefined) return complain("show: which one?");
  const found = choose(directory, [id]);
  return typeof found === "string" ? complain(found) : say(`${JSON.stringify(found[0], null, 2)}\n`);
}

/** The named letters, or all; a text when one of them is not there. */
function choose(directory: string, ids: readonly string[] | null): DeadLetter[] | string {
  const wanted = ids === null ? null : new Set(ids);
  const found: DeadLetter[] = [];
  for (const letter of readDeadLetters(directory)) if (wanted?.delete(letter.id) ?? true) found.push(letter);
  const [missing] = wanted ?? [];
  return missing === undefined ? found : `${missing}: no such dead letter in ${directory}`;
}

function say(text: string, code = 0): number {
  process.stdout.write(text);
  return code;
}

function warn(text: string): void {
  process.stderr.write(text);
}

function complain(text: string): number {
  warn(`${text}\n`);
  return 2;
}
