import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { textOf } from "../base/error-text.ts";
import type { Alerts, Rules, RuleTestResult } from "../contract/alerts.ts";
import { checkAlertsFile } from "../server/alerts/rule-check.ts";
import { createServiceClient, type ServiceClient, ServiceError, serviceUrl } from "./service-client.ts";

const help = `Alerts of a running service

  sluice alerts                   what fires now, worst first
    --state STATE                 pending, firing, recovering or stale
    --severity SEVERITY           info, warning or critical
    --rule NAME, --device ID      of this rule, of this device
    --fail                        exit code 1 when there is one
  sluice alerts rules             every rule, with how much of what it watches fires
  sluice alerts test FILE         when the rule in FILE (JSON) would have fired; changes nothing
    --from TIME, --to TIME        default: the last day
  sluice alerts validate FILE     looks whether FILE can be ALERTS_FILE; needs no service

    --url URL                     the service (default: HOST and PORT of the environment)
    --key SECRET                  a viewer key (default: the environment's SLUICE_KEY)
    --json                        the service's own answer
`;
const options = {
  help: { type: "boolean", short: "h" },
  json: { type: "boolean", default: false },
  fail: { type: "boolean", default: false },
  url: { type: "string" },
  key: { type: "string" },
  state: { type: "string" },
  severity: { type: "string" },
  rule: { type: "string" },
  device: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
} as const;

type Values = ReturnType<typeof parse>["values"];
const parse = (args: readonly string[]) => parseArgs({ args: [...args], allowPositionals: true, options });

export async function alerts(args: readonly string[]): Promise<number> {
  const { positionals, values } = parse(args);
  const [action = "list", file, ...more] = positionals;
  if (values.help) return say(help);
  const needsFile = action === "test" || action === "validate";
  if (!["list", "rules", "test", "validate"].includes(action)) {
    return complain(`alerts: use list, rules, test or validate, not ${action}`, 2);
  }
  if ((file !== undefined) !== needsFile || more.length > 0) {
    return complain(`alerts ${action}: ${needsFile ? "one FILE is needed" : "no more words are allowed"}`, 2);
  }
  try {
    if (action === "validate" && file !== undefined) return validate(file);
    const url = values.url?.replace(/\/+$/, "") ?? serviceUrl(process.env);
    const service = createServiceClient({ url, key: values.key ?? process.env.SLUICE_KEY });
    if (action === "rules") return await listRules(service, values);
    return file === undefined ? await list(service, values) : await test(service, file, values);
  } catch (error) {
    if (error instanceof ServiceError || error instanceof FileError) return complain(error.message, 1);
    throw error;
  }
}

async function list(service: ServiceClient, values: Values): Promise<number> {
  const { state, severity, rule, device: device_id } = values;
  const answer = (await service.get("/api/alerts", { state, severity, rule, device_id })) as Alerts;
  const code = values.fail && answer.total > 0 ? 1 : 0;
  if (values.json) return say(`${JSON.stringify(answer, null, 2)}\n`, code);
  const rows = answer.alerts.map((alert) => [
    alert.severity,
    alert.silenced ? `${alert.state}, silenced` : alert.state,
    alert.since,
    alert.rule,
    alert.device_id ?? alert.group ?? "",
    alert.message,
  ]);
  const more = answer.total - rows.length;
  return say(`${table(rows)}${answer.total} alerts${more > 0 ? `, ${more} not shown` : ""}\n`, code);
}

async function listRules(service: ServiceClient, values: Values): Promise<number> {
  const answer = (await service.get("/api/alerts/rules")) as Rules;
  if (values.json) return say(`${JSON.stringify(answer, null, 2)}\n`);
  const rows = answer.rules.map(({ name, severity, when, enabled, firing, series, source }) => [
    severity,
    name,
    when.kind,
    enabled === false ? "off" : `${firing} of ${series} fire`,
    source === "file" ? "of ALERTS_FILE" : "",
  ]);
  return say(`${table(rows)}${answer.total} rules\n`);
}

async function test(service: ServiceClient, file: string, { from, to, json }: Values): Promise<number> {
  const body = { rule: readJson(file), ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  const answer = (await service.post("/api/alerts/rules/test", body)) as RuleTestResult;
  if (json) return say(`${JSON.stringify(answer, null, 2)}\n`);
  const rows = answer.fired.map((fired) => [
    fired.from,
    fired.to ?? "still",
    fired.device_id ?? fired.group ?? "",
    String(fired.value ?? ""),
  ]);
  return say(
    `${table(rows)}fired ${answer.count} times for ${answer.series} series from ${answer.from} to ${answer.to}\n`,
  );
}

class FileError extends Error {}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new FileError(`${file}: ${textOf(error)}`);
  }
}

function validate(file: string): number {
  const content = readJson(file);
  const checked = checkAlertsFile(content);
  if (!checked.ok) {
    return complain(checked.faults.map(({ path, message }) => `${file}: ${path || "/"} ${message}`).join("\n"), 1);
  }
  const { rules = [], channels = [], silences = [] } = checked.value;
  return say(`${file}: ${rules.length} rules, ${channels.length} channels, ${silences.length} silences\n`);
}

/** Columns as wide as their longest cell. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

function say(text: string, code = 0): number {
  process.stdout.write(text);
  return code;
}

function complain(text: string, code: number): number {
  process.stderr.write(`${text}\n`);
  return code;
}
