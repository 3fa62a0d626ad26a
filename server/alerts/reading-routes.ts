import { Elysia } from "elysia";
import { Compile } from "typebox/compile";
import { alertLimits, PushEnd, PushSubscription, RuleTest, severities } from "../../contract/alerts.ts";
import { limits } from "../../contract/limits.ts";
import { choice, range, readParameters, readRange, text, whole, withDefault } from "../query/parameters.ts";
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
const historyDefaultMs = 30 * 86_400_000;
const futureMs = 60_000;
const offsetMax = 10_000_000;
const auditMax = 1_000;

const named = {
  rule: text("its id or name", alertLimits.nameCharacters),
  device_id: text("exactly", limits.deviceIdCharacters),
};
const limit = withDefault(whole("alerts of a page", 1, alertLimits.pageMax), alertLimits.pageDefault);
const nextPage = "from the page before";
export const alertsParameters = {
  state: choice("what it does now", ["pending", "firing", "recovering", "stale"]),
  severity: choice("how bad it is", severities),
  ...named,
  limit,
  cursor: whole(nextPage, 0, offsetMax),
};
export const historyParameters = {
  ...range,
  ...named,
  limit,
  cursor: whole(nextPage, 1, Number.MAX_SAFE_INTEGER),
};
export const auditParameters = {
  limit: withDefault(whole("changes", 1, auditMax), alertLimits.pageDefault),
};

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
        const given = readParameters(new URL(request.url), alertsParameters);
        const { state, severity, rule, device_id: deviceId, cursor, limit } = given;
        return json(viewAlerts(center, { state, severity, rule, deviceId }, cursor ?? 0, limit));
      }),
    )
    .get("/api/alerts/history", ({ request }) =>
      answer(request, async () => {
        const given = readParameters(new URL(request.url), historyParameters);
        const { fromMs, toMs } = readRange(given, now() + futureMs, historyDefaultMs);
        const { rule, limit } = given;
        const known = [...center.registry.rules.values()].find((record) => record.rule.name === rule);
        const found = repository.transitions({
          fromMs,
          toMs,
          ruleId: known?.id ?? rule,
          deviceId: given.device_id,
          beforeSequence: given.cursor,
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
        const records = repository.audit(readParameters(new URL(request.url), auditParameters).limit);
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
