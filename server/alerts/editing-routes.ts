import { Elysia } from "elysia";
import { Compile } from "typebox/compile";
import { Acknowledgement, alertLimits, type CreatedChannel } from "../../contract/alerts.ts";
import type { Access } from "../access/access.ts";
import { errorResponse } from "../http/errors.ts";
import type { AlertCenter } from "./center/alert-center.ts";
import type { Outcome, Refused } from "./center/registry.ts";
import { alertId } from "./identity.ts";
import { readBody } from "./request-body.ts";
import { type Checked, checkChannel, checkRule, checkSilence, schemaFaults } from "./rule-check.ts";
import { viewChannel, viewRule, viewRules, viewSilence } from "./views.ts";

export interface EditingRoutesDeps {
  readonly center: AlertCenter;
  readonly access: Pick<Access, "editor">;
  readonly now: () => number;
  /** Browsers that have subscribed. */
  readonly subscriptions: () => number;
  readonly hasMail: boolean;
}

const noStore = { "Cache-Control": "no-store" };
const json = (body: unknown, status = 200): Response => Response.json(body, { status, headers: noStore });
const acknowledgement = Compile(Acknowledgement);

function checkAcknowledgement(value: unknown): Checked<Acknowledgement> {
  const faults = schemaFaults(acknowledgement, value);
  return faults.length === 0 ? { ok: true, value: value as Acknowledgement } : { ok: false, faults };
}

function refused({ code, message }: Refused): Response {
  return errorResponse(code === "not_found" ? "not_found" : "conflict", message);
}

/** Rules, channels, silences, acknowledgements. Who may change them is decided before a request gets here. */
export function createAlertEditingRoutes(deps: EditingRoutesDeps) {
  const { center, now } = deps;
  const { registry } = center;

  /** The editor's name, for the audit. */
  const nameOf = (request: Request): string => {
    const editor = deps.access.editor(request);
    return editor instanceof Response ? "" : editor.name;
  };

  /** Writes what was decided, and answers with how it is seen. */
  function carryOut<T>(
    request: Request,
    outcome: Outcome<T>,
    action: string,
    view: (value: T) => { readonly body: unknown; readonly target: string },
    status = 200,
  ): Response {
    if (!outcome.ok) return refused(outcome);
    const target = view(outcome.value).target;
    center.change(outcome.changes, { who: nameOf(request), action, target, detail: null });
    return status === 204 ? new Response(null, { status, headers: noStore }) : json(view(outcome.value).body, status);
  }

  const ruleView = (record: Parameters<typeof viewRule>[1]) => ({
    body: viewRule(center, record, viewRules(center).find(({ id }) => id === record.id)?.firing ?? 0),
    target: record.rule.name,
  });
  const channelView = (record: Parameters<typeof viewChannel>[1]) => ({
    body: viewChannel(center, record, deps.subscriptions()),
    target: record.channel.name,
  });
  const removal = (target: string) => ({ body: null, target });
  const missing = (what: string, id: string): Response => errorResponse("not_found", `there is no ${what} ${id}`);

  return new Elysia({ name: "alert-editing" })
    .get("/api/alerts/rules", () => json({ rules: viewRules(center), total: registry.rules.size }))
    .post(
      "/api/alerts/rules",
      async ({ request }) => {
        const rule = await readBody(request, checkRule);
        if (rule instanceof Response) return rule;
        return carryOut(request, registry.putRule(null, rule, now()), "create rule", ruleView, 201);
      },
      { parse: "none" },
    )
    .get("/api/alerts/rules/:id", ({ params: { id } }) => {
      const record = registry.rules.get(id);
      return record === undefined ? missing("rule", id) : json(ruleView(record).body);
    })
    .put(
      "/api/alerts/rules/:id",
      async ({ request, params: { id } }) => {
        const rule = await readBody(request, checkRule);
        if (rule instanceof Response) return rule;
        return carryOut(request, registry.putRule(id, rule, now()), "change rule", ruleView);
      },
      { parse: "none" },
    )
    .delete("/api/alerts/rules/:id", ({ request, params: { id } }) => {
      const name = registry.rules.get(id)?.rule.name ?? id;
      return carryOut(request, registry.remove("rule", id), "remove rule", () => removal(name), 204);
    })
    .get("/api/alerts/channels", () =>
      json({
        channels: [...registry.channels.values()].map((record) => channelView(record).body),
        total: registry.channels.size,
        email: deps.hasMail,
      }),
    )
    .post(
      "/api/alerts/channels",
      async ({ request }) => {
        const channel = await readBody(request, checkChannel);
        if (channel instanceof Response) return channel;
        const made = channel.secret === undefined;
        return carryOut(
          request,
          registry.putChannel(null, channel, now()),
          "create channel",
          (record) => {
            const { body, target } = channelView(record);
            // A secret that was made here is told this once.
            const secret = made ? record.channel.secret : undefined;
            return { body: { ...body, ...(secret === undefined ? {} : { secret }) } satisfies CreatedChannel, target };
          },
          201,
        );
      },
      { parse: "none" },
    )
    .put(
      "/api/alerts/channels/:id",
      async ({ request, params: { id } }) => {
        const channel = await readBody(request, checkChannel);
        if (channel instanceof Response) return channel;
        return carryOut(request, registry.putChannel(id, channel, now()), "change channel", channelView);
      },
      { parse: "none" },
    )
    .delete("/api/alerts/channels/:id", ({ request, params: { id } }) => {
      const name = registry.channels.get(id)?.channel.name ?? id;
      return carryOut(request, registry.remove("channel", id), "remove channel", () => removal(name), 204);
    })
    .post(
      "/api/alerts/channels/:id/test",
      async ({ params: { id } }) => {
        if (!registry.channels.has(id)) return missing("channel", id);
        const startedMs = performance.now();
        const attempt = await center.test(id);
        const duration_ms = Math.round(performance.now() - startedMs);
        return json({ ok: attempt.ok, message: attempt.ok ? "delivered" : attempt.message, duration_ms });
      },
      { parse: "none" },
    )
    .get("/api/alerts/silences", () => {
      const left = [...registry.silences.values()].filter(({ toMs }) => toMs > now());
      return json({ silences: left.map((record) => viewSilence(record, now())), total: left.length });
    })
    .post(
      "/api/alerts/silences",
      async ({ request }) => {
        const silence = await readBody(request, checkSilence);
        if (silence instanceof Response) return silence;
        const view = (record: Parameters<typeof viewSilence>[0]) => ({
          body: viewSilence(record, now()),
          target: JSON.stringify(record.silence.matchers),
        });
        const outcome = registry.putSilence(silence, nameOf(request), now());
        return carryOut(request, outcome, "create silence", view, 201);
      },
      { parse: "none" },
    )
    .delete("/api/alerts/silences/:id", ({ request, params: { id } }) => {
      const matchers = registry.silences.get(id)?.silence.matchers;
      const target = matchers === undefined ? id : JSON.stringify(matchers);
      return carryOut(request, registry.remove("silence", id), "end silence", () => removal(target), 204);
    })
    .post(
      "/api/alerts/:id/acknowledge",
      async ({ request, params: { id } }) => {
        const body = await readBody(request, checkAcknowledgement);
        if (body instanceof Response) return body;
        return acknowledge(request, id, body.comment ?? "");
      },
      { parse: "none" },
    )
    .delete("/api/alerts/:id/acknowledge", ({ request, params: { id } }) => acknowledge(request, id, null));

  function acknowledge(request: Request, id: string, comment: string | null): Response {
    for (const series of center.evaluator.active()) {
      if (alertId(series.key, series.startedMs) !== id) continue;
      center.acknowledge(series, nameOf(request), comment);
      return new Response(null, { status: 204, headers: noStore });
    }
    return missing("alert", id.slice(0, alertLimits.nameCharacters));
  }
}
