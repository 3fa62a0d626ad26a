import { type ErrorRow, errors } from "../../contract/error.ts";
import { groups } from "../config/groups.ts";
import type { Group, Setting } from "../config/setting.ts";

/** A page under docs/ that is made from code. `npm run docs` writes them, a test compares. */
export interface GeneratedDocument {
  /** From the repository's root. */
  readonly path: string;
  readonly text: string;
}

const generated = "<!-- Made by `npm run docs`. Change the code that it names, not this page. -->";

export function generateDocuments(): readonly GeneratedDocument[] {
  return [
    { path: "docs/configuration.md", text: configurationPage() },
    { path: "docs/errors.md", text: errorsPage() },
  ];
}

function configurationPage(): string {
  return [
    generated,
    "# Configuration",
    "",
    "Every setting is an environment variable. A value that is not allowed stops the start with one line",
    "that names the variable, the value and what is allowed; `sluice config` prints what is in force, with",
    "secrets masked. An empty variable counts as unset. The rows are in `server/config/`.",
    ...Object.values<Group>(groups).flatMap(({ title, settings }) => [
      "",
      `## ${title}`,
      "",
      "| variable | default | allowed | meaning |",
      "|---|---|---|---|",
      ...Object.values(settings).map(settingRow),
    ]),
    "",
  ].join("\n");
}

function settingRow({ variable, fallback, kind, help }: Setting<unknown>): string {
  const value = fallback === "" ? "unset" : `\`${fallback}\``;
  return `| \`${variable}\` | ${value} | ${cell(kind.allowed)} | ${cell(help)} |`;
}

function errorsPage(): string {
  return [
    generated,
    "# Errors",
    "",
    "Every error, on every route, has one shape. Decide by `code`; the message is for people and may change.",
    "",
    "```json",
    '{"error":{"code":"invalid_events","message":"…","details":[{"index":0,"path":"/device_id","message":"…"}],"total":1}}',
    "```",
    "",
    "A `4xx` or `503` answer to `/ingest` means that nothing of the request was accepted. Where there was no",
    "answer at all, send the request again with the same `Idempotency-Key`: it is stored once. The rows are in",
    "`contract/error.ts`.",
    "",
    "| code | status | meaning | what to do |",
    "|---|---|---|---|",
    ...Object.entries<ErrorRow>(errors).map(
      ([code, { status, meaning, action }]) => `| \`${code}\` | ${status} | ${cell(meaning)} | ${cell(action)} |`,
    ),
    "",
  ].join("\n");
}

const cell = (text: string): string => text.replaceAll("|", "\\|");
