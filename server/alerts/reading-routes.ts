import { Elysia } from "elysia";
import { Compile } from "typebox/compile";
import { alertLimits, PushEnd, PushSubscription, RuleTest, severities } from "../../contract/alerts.ts";
import { limits } from "../../contract/limits.ts";
import { readParameters, readRange } from "../query/parameters.ts";
import { answer } from "../query/refusal.ts";
import type { Backtest } from "./backtest/backtest.ts";
import type { AlertCenter } from "./center/alert-center.ts";
import type { PushBook } from "./notify/push-book.ts";
import { faultsResponse, readBody } from "./request-body.ts";
import { type Checked, checkRule, schemaFaults } from "./rule-check.ts";
import type { Repository } from "./state/repository.ts";
import { viewAlerts, viewTransition } from "./views.ts";

export interface ReadingRoutesDeps {
  readonly center: AlertCenter;
  readonly repository: Repository;
  readonly backtest: Backtest;
  readonly pushes: PushBook;
  readonly now: () => number;
}

const noStore = { "Cache-Control": "no-store" };
const json = (body: unknown, status = 200): Response => Response.json(body, { status, headers: noStore });
const states = ["pending", "firing", "recovering", "stale"] as const;
const historyDefaultMs = 30 * 86_400_000;
const futureMs = 60_000;
const offsetMax = 10_000_000;
const auditMax = 1_000;

const schemas = { test: Compile(RuleTest), subscription: Compile(PushSubscription), end: Compile(PushEnd) };

const checkWith =
  <T>(schema: (typeof schemas)[keyof typeof schemas]) =>
  (value: unknown): Checked<T> => {
    const faults = schemaFaults(schema, value);
    return faults.length === 0 ? { ok: true, value: value as T } : { ok: false, faults };
  };

/** The rule's own faults say more than those of the whole. */
function checkTest(value: unknown): Checked<RuleTest> {
  const rule = typeof value === "object" && value !== null && "rule" in value ? value.rule : undefined;
  if (rule !== undefined) {
    const checked = checkRule(rule, "/rule");
    if (!checked.ok) return checked;
  }
  return checkWith<RuleTest>(schemas.test)(value);
}

/** What every viewer may do: read, try a rule on the past, and have alarms sent to their own browser. */
export function createAlertReadingRoutes({ center, repository, backtest, pushes, now }: ReadingRoutesDeps) {
  return new Elysia({ name: "alert-reading" })
    .get("/api/alerts", ({ request }) =>
      answer(request, async () => {
        const parameters = readParameters(new URL(request.url), [
          "state",
          "severity",
          "rule",
          "device_id",
          "limit",
          "cursor",
        ]);
        const filter = {
          state: parameters.choice("state", states),
          severity: parameters.choice("severity", severities),
          rule: parameters.text("rule", alertLimits.nameCharacters),
          deviceId: parameters.text("device_id", limits.deviceIdCharacters),
        };
        const limit = parameters.integer("limit", 1, alertLimits.pageMax) ?? alertLimits.pageDefault;
        return json(viewAlerts(center, filter, parameters.integer("cursor", 0, offsetMax) ?? 0, limit));
      }),
    )
    .get("/api/alerts/history", ({ request }) =>
      answer(request, async () => {
        const parameters = readParameters(new URL(request.url), ["from", "to", "rule", "device_id", "limit", "cursor"]);
        const range = readRange(parameters, now() + futureMs, historyDefaultMs);
        const limit = parameters.integer("limit", 1, alertLimits.pageMax) ?? alertLimits.pageDefault;
        const rule = parameters.text("rule", alertLimits.nameCharacters);
        const named = [...center.registry.rules.values()].find((record) => record.rule.name === rule);
        const found = repository.transitions({
          fromMs: range.fromMs,
          toMs: range.toMs,
          ruleId: named?.id ?? rule,
          deviceId: parameters.text("device_id", limits.deviceIdCharacters),
          beforeSequence: parameters.integer("cursor", 1, Number.MAX_SAFE_INTEGER),
          limit: limit + 1,
        });
        const page = found.slice(0, limit);
        const last = page[page.length - 1];
        return json({
          transitions: page.map(({ transition }) => viewTransition(transition)),
          cursor: found.length > limit && last !== undefined ? String(last.sequence) : null,
        });
      }),
    )
    .get("/api/alerts/audit", ({ request }) =>
      answer(request, async () => {
        const parameters = readParameters(new URL(request.url), ["limit"]);
        const records = repository.audit(parameters.integer("limit", 1, auditMax) ?? alertLimits.pageDefault);
        return json({
          changes: records.map(({ atMs, who, action, target }) => ({
            at: new Date(atMs).toISOString(),
            who,
            action,
            target,
          })),
        });
      }),
    )
    .post(
      "/api/alerts/rules/test",
      ({ request }) =>
        answer(request, async (signal) => {
          const test = await readBody(request, checkTest);
          if (test instanceof Response) return test;
          const result = await backtest.run(test, signal);
          return result.ok ? json(result.value) : faultsResponse(result.faults);
        }),
      { parse: "none" },
    )
    .get("/api/alerts/push", () => json({ public_key: pushes.publicKey, subscriptions: pushes.records.length }))
    .post(
      "/api/alerts/push",
      async ({ request }) => {
        const subscription = await readBody(request, checkWith<PushSubscription>(schemas.subscription));
        if (subscription instanceof Response) return subscription;
        const fault = pushes.subscribe(subscription, now());
        return fault === null
          ? json({ public_key: pushes.publicKey, subscriptions: pushes.records.length }, 201)
          : fault;
      },
      { parse: "none" },
    )
    .delete(
      "/api/alerts/push",
      async ({ request }) => {
        const end = await readBody(request, checkWith<PushEnd>(schemas.end));
        if (end instanceof Response) return end;
        pushes.unsubscribe(end.endpoint);
        return new Response(null, { status: 204, headers: noStore });
      },
      { parse: "none" },
    );
}
