import { parseArgs } from "node:util";
import { helpText } from "../server/config/help.ts";

/** Starts the service in this process, which then runs until a signal ends it. */
export async function serve(args: readonly string[]): Promise<number | null> {
  const { values } = parseArgs({ args: [...args], options: { help: { type: "boolean", short: "h" } } });
  if (values.help) {
    process.stdout.write(helpText());
    return 0;
  }
  // The service's own entry: importing it is starting it.
  await import("../server/main.ts");
  return null;
}
