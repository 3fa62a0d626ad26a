/** The `sluice` command. Entry point; as npm installs it, `launcher.mjs` finds the Bun that runs it. */
import packageJson from "../package.json" with { type: "json" };
import { ConfigError } from "../server/config/config-error.ts";

/** What a command gives back: its exit code, or null when it goes on running. */
type Run = (args: readonly string[]) => Promise<number | null> | number;

interface Command {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Run>;
}

/** One row a command. */
const commands: readonly Command[] = [
  {
    name: "serve",
    summary: "start the service; what `sluice` alone does, too",
    load: async () => (await import("./serve.ts")).serve,
  },
  {
    name: "device",
    summary: "post this machine's own CPU, memory, disk and network as one device",
    load: async () => (await import("./devices/device.ts")).device,
  },
  {
    name: "simulate",
    summary: "post a simulated fleet at a constant rate",
    load: async () => (await import("./devices/simulate.ts")).simulate,
  },
  {
    name: "keys",
    summary: "list, add, rotate and remove the keys of a file",
    load: async () => (await import("./keys.ts")).keys,
  },
  {
    name: "dead-letters",
    summary: "events that ClickHouse refused: list, show, replay",
    load: async () => (await import("./dead-letters.ts")).deadLetters,
  },
  {
    name: "journal",
    summary: "check every frame of the journal",
    load: async () => (await import("./journal.ts")).journal,
  },
  {
    name: "alerts",
    summary: "what fires, the rules, whether a rule or a file of them is right",
    load: async () => (await import("./alerts.ts")).alerts,
  },
  {
    name: "backup",
    summary: "copy everything that a running service has accepted, or check a copy",
    load: async () => (await import("./backup.ts")).backup,
  },
  {
    name: "restore",
    summary: "make a data directory out of a backup",
    load: async () => (await import("./restore.ts")).restore,
  },
  {
    name: "doctor",
    summary: "look whether it can run here, and what to do where it cannot",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  {
    name: "config",
    summary: "every setting with its value in force, and whether they can be used",
    load: async () => (await import("./config.ts")).config,
  },
  {
    name: "completion",
    summary: "completion for bash, zsh or fish",
    load: async () => {
      const { completion } = await import("./completion.ts");
      return (args) => completion(args, commands);
    },
  },
];

const exitCodes = `Exit codes: 0 done, and nothing is wrong. 1 something is wrong, or could not be done. 2 the command, an option or
a setting cannot be used; one line on standard error says which.
`;

function helpText(): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 3;
  const rows = commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`);
  return `Sluice ${packageJson.version}: the front door between a fleet of devices and ClickHouse

  sluice [COMMAND] [ARGUMENTS]     sluice COMMAND --help says more; sluice --version

${rows.join("\n")}

Settings are environment variables: sluice serve --help lists them.
${exitCodes}`;
}

async function main([name = "serve", ...args]: readonly string[]): Promise<number | null> {
  if (name === "--help" || name === "-h" || name === "help") return say(helpText());
  if (name === "--version" || name === "-V") return say(`${packageJson.version}\n`);
  const command = commands.find((each) => each.name === name);
  if (command === undefined) return complain(`${name}: no such command; sluice --help lists them`);
  const run = await command.load();
  return run(args);
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

function complain(text: string): number {
  process.stderr.write(`${text}\n`);
  return 2;
}

/** What the user can mend is one line; anything else is a bug, and shows where. */
function isUsage(error: unknown): error is Error {
  return error instanceof ConfigError || (error instanceof TypeError && "code" in error);
}

try {
  const code = await main(process.argv.slice(2));
  if (code !== null) process.exit(code);
} catch (error) {
  if (!isUsage(error)) throw error;
  process.exit(complain(error.message));
}
