/** Entry of the service: settings, signals, exit codes. */

import { createLog, type Log } from "../base/log.ts";
import { parseConfig } from "./config/config.ts";
import { ConfigError } from "./config/config-error.ts";
import { helpText } from "./config/help.ts";
import { startService } from "./service/service.ts";
import { postCommand, type Welcome, welcomeText } from "./service/welcome.ts";

async function main(): Promise<void> {
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    process.stdout.write(helpText());
    return;
  }
  const config = parseConfig(process.env);
  const isTerminal = process.stderr.isTTY === true;
  const { format } = config.logging;
  const isPretty = format === "pretty" || (format === "" && isTerminal);
  const log = createLog({
    ...config.logging,
    isTerminal,
    write: (line) => process.stderr.write(line),
    now: () => new Date(),
  });
  // Until events are taken there is nothing to flush, and what an earlier run left is safe in its journal.
  const endEarly = (): never => process.exit(0);
  process.on("SIGTERM", endEarly).on("SIGINT", endEarly);
  const service = await startService({ log, onFailed: () => process.exit(1), onUnusable: refuse }, config);
  if (service.welcome !== null) greet(service.welcome, log, isPretty);
  process.off("SIGTERM", endEarly).off("SIGINT", endEarly);
  const end = (signal: string): void => void service.stop(signal).then(() => process.exit(0));
  process.on("SIGTERM", end).on("SIGINT", end);
  process.on("SIGHUP", () => service.reload());
}

/** For people as they read it; a log of JSON stays one. */
function greet(welcome: Welcome, log: Log, isPretty: boolean): void {
  if (isPretty) process.stderr.write(welcomeText(welcome));
  else log("info", "first start", { page: welcome.url, data: welcome.dataDirectory, post: postCommand(welcome) });
}

/** A setting that cannot be used stops the start with one line. */
function refuse(reason: string): never {
  process.stderr.write(`${reason}\n`);
  process.exit(2);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  refuse(error.message);
}
