import { groups } from "./groups.ts";
import type { Group } from "./setting.ts";

const nameWidth = 26;

/** The text of `--help`. */
export function helpText(): string {
  const sections = Object.values<Group>(groups).flatMap(({ title, settings }) => [
    "",
    `${title}:`,
    ...Object.values(settings).map(
      ({ variable, help, fallback }) => `  ${variable.padEnd(nameWidth)}${help} (default: ${fallback || "unset"})`,
    ),
  ]);
  return [
    "Sluice: devices POST JSON, ClickHouse has it, every dashboard shows it live.",
    "",
    "  bun server/main.ts          start the service",
    "  bun server/main.ts --help   this text",
    "",
    "Settings come from the environment.",
    ...sections,
    "",
  ].join("\n");
}
