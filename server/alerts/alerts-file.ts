import { readFileSync } from "node:fs";
import type { AlertsFile } from "../../contract/alerts.ts";
import { faultText } from "./request-body.ts";
import { checkAlertsFile } from "./rule-check.ts";

export type ReadAlertsFile =
  | { readonly ok: true; readonly file: AlertsFile }
  | { readonly ok: false; readonly reason: string };

/** Reads and checks the whole of ALERTS_FILE; nothing of it is used when anything is wrong. */
export function readAlertsFile(path: string): ReadAlertsFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error) return { ok: false, reason: `cannot be read (${error.code})` };
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, reason: `is not JSON: ${error.message}` };
    throw error;
  }
  const checked = checkAlertsFile(value);
  return checked.ok ? { ok: true, file: checked.value } : { ok: false, reason: faultText(checked.faults) };
}
