import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { textOf } from "../base/error-text.ts";
import { parseKeys } from "../server/access/keys.ts";
import { checkAlertsFile } from "../server/alerts/rule-check.ts";
import { describeConfig, parseConfig } from "../server/config/config.ts";
import type { Config } from "../server/config/groups.ts";
import { checkCertificate } from "../server/http/listener.ts";

const help = `Every setting with its value in force; secrets are masked. Numbers are bytes and milliseconds

  sluice config              NAME=value, one a line
  sluice config --changed    those alone that the environment gives
  sluice config --json       an object
  sluice config --check      nothing but what is wrong

Exit code 1 when a file that a setting names cannot be used, 2 when a setting itself cannot.
`;

export function config(args: readonly string[]): number {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: "boolean", short: "h" },
      json: { type: "boolean", default: false },
      changed: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  if (values.help) return say(help);
  const parsed = parseConfig(process.env);
  const rows = Object.entries(describeConfig(parsed)).filter(([name]) => !values.changed || process.env[name]);
  if (values.json) say(`${JSON.stringify(Object.fromEntries(rows), null, 2)}\n`);
  else if (!values.check) say(rows.map(([name, value]) => `${name}=${value ?? ""}\n`).join(""));
  const faults = checkFiles(parsed);
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  return faults.length === 0 ? 0 : 1;
}

/** What is wrong with the keys and the files that settings name, a line each. */
export function checkFiles({ access, tls, alerts }: Config): string[] {
  const keys = [
    checkKeys("INGEST_KEYS", access.ingestKeys, true),
    checkKeys("VIEWER_KEYS", access.viewerKeys, false),
    checkKeys("EDITOR_KEYS", access.editorKeys, false),
  ];
  const certificate = attempt(() => {
    if (tls.certFile !== "") checkCertificate({ certFile: tls.certFile, keyFile: tls.keyFile });
  });
  const rules = attempt(() => {
    if (alerts.file === "") return;
    const checked = checkAlertsFile(JSON.parse(readFileSync(alerts.file, "utf8")));
    if (!checked.ok) throw new Error(checked.faults.map(({ path, message }) => `${path || "/"} ${message}`).join("; "));
  });
  return [...keys, certificate, rules === null ? null : `ALERTS_FILE=${alerts.file}: ${rules}`].filter(
    (fault) => fault !== null,
  );
}

function checkKeys(variable: string, setting: string, allowPrefix: boolean): string | null {
  if (setting === "") return null;
  const file = setting.startsWith("@") ? setting.slice(1) : null;
  const name = file === null ? variable : `${variable}=@${file}`;
  let reason: string | null = null;
  const failed = attempt(() => {
    const text = file === null ? setting : readFileSync(file, "utf8");
    const parsed = parseKeys(text, file === null ? "list" : "file", allowPrefix);
    if (!parsed.ok) reason = parsed.reason;
  });
  const fault = failed ?? reason;
  return fault === null ? null : `${name}: ${fault}`;
}

/** Why it failed; null when it did not. */
function attempt(act: () => void): string | null {
  try {
    act();
    return null;
  } catch (error) {
    return textOf(error);
  }
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}
