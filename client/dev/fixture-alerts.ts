import type {
  Alert,
  AlertHistory,
  Alerts,
  AlertsUpdate,
  Channel,
  Channels,
  Rule,
  Rules,
  RuleTestResult,
  Silence,
  Silences,
  StoredChannel,
  StoredRule,
  StoredSilence,
} from "../../contract/alerts.ts";

export interface FixtureAlerts {
  /** Undefined: not a route of alerts. */
  handle(request: Request, url: URL): Promise<Response | undefined>;
  update(): AlertsUpdate;
}

const iso = (msAgo: number): string => new Date(Date.now() - msAgo).toISOString();

/** What the service says under /api/alerts, over a few alerts that fire for as long as `firing` answers more than 0. */
export function createFixtureAlerts(firing: () => number): FixtureAlerts {
  const rules: StoredRule[] = [];
  const channels: StoredChannel[] = [];
  const silences: StoredSilence[] = [];
  const acknowledged = new Set<string>();
  let ids = 0;
  const nextId = (): string => `id-${++ids}`;
  const stored = () => ({ id: nextId(), source: "api" as const, created_at: iso(0), updated_at: iso(0) });
  const addRule = (rule: Rule): StoredRule => ({ ...rule, ...stored(), firing: 0, series: 12, skipped_series: 0 });

  const alerts = (): Alert[] =>
    Array.from({ length: firing() }, (_, index) => {
      const severity = (["critical", "warning", "info"] as const)[Math.min(2, index >> 1)] ?? "info";
      const id = `alert-${index}`;
      const device = `sensor-${String(index * 11 + 5).padStart(6, "0")}`;
      return {
        id,
        rule_id: "id-1",
        rule: index % 2 === 0 ? "Silent device" : "Too hot",
        severity,
        device_id: device,
        state: index === 3 ? "stale" : "firing",
        since: iso(60_000 * (index + 1)),
        started_at: iso(60_000 * (index + 2)),
        value: index % 2 === 0 ? null : 81.25,
        message: index % 2 === 0 ? `${device} has stopped reporting` : `${device} is at 81.3 °C`,
        silenced: index === 2,
        acknowledged: acknowledged.has(id) ? { at: iso(1_000), by: "operator", comment: "" } : null,
      };
    });
  const counts = (all: readonly Alert[]) => ({
    critical: all.filter(({ severity }) => severity === "critical").length,
    warning: all.filter(({ severity }) => severity === "warning").length,
    info: all.filter(({ severity }) => severity === "info").length,
  });
  const history = (): AlertHistory => ({
    cursor: null,
    transitions: Array.from({ length: firing() === 0 ? 0 : 30 }, (_, index) => ({
      id: `t-${index}`,
      alert_id: `alert-${index}`,
      at: iso(index * 5_400_000),
      decided_at: iso(index * 5_400_000),
      rule_id: "id-1",
      rule: "Too hot",
      severity: "warning" as const,
      device_id: `sensor-00000${index % 7}`,
      from: index % 2 === 0 ? ("firing" as const) : ("pending" as const),
      to: index % 2 === 0 ? ("resolved" as const) : ("firing" as const),
      value: 81.25 - index,
      message: "",
    })),
  });
  const backtest = (): RuleTestResult => ({
    from: iso(7 * 86_400_000),
    to: iso(0),
    series: 12,
    resolution_seconds: 0,
    count: 3,
    fired: [5, 3, 1].map((day) => ({
      device_id: `sensor-00000${day}`,
      from: iso(day * 86_400_000),
      to: iso(day * 86_400_000 - 5_400_000),
      value: 70 + day,
    })),
  });

  const read = (path: string): Response | undefined => {
    const all = alerts();
    if (path === "/api/alerts") {
      const answer: Alerts = { alerts: all, total: all.length, counts: counts(all), cursor: null };
      return Response.json(answer);
    }
    if (path === "/api/alerts/history") return Response.json(history());
    if (path === "/api/alerts/rules") return Response.json({ rules, total: rules.length } satisfies Rules);
    if (path === "/api/alerts/silences") return Response.json({ silences, total: silences.length } satisfies Silences);
    if (path === "/api/alerts/channels")
      return Response.json({ channels, total: channels.length, email: true } satisfies Channels);
    return undefined;
  };
  const create = async (path: string, request: Request): Promise<Response | undefined> => {
    if (path === "/api/alerts/rules/test") return Response.json(backtest());
    if (path === "/api/alerts/rules") {
      rules.push(addRule((await request.json()) as Rule));
      return Response.json(rules.at(-1), { status: 201 });
    }
    if (path === "/api/alerts/silences") {
      const silence = (await request.json()) as Silence;
      silences.push({ from: iso(0), comment: "", ...silence, ...stored(), created_by: "operator", active: true });
      return Response.json(silences.at(-1), { status: 201 });
    }
    if (path === "/api/alerts/channels") {
      const { secret: _, ...channel } = (await request.json()) as Channel;
      const state = { has_secret: true, status: "unused" as const, waiting: 0, delivered: 0, dropped: 0 };
      channels.push({ ...channel, ...stored(), ...state, last_error: null, next_attempt_at: null, subscriptions: 0 });
      return Response.json({ ...channels.at(-1), secret: "whsec_made-for-the-fixture" }, { status: 201 });
    }
    if (path.endsWith("/test")) return Response.json({ ok: true, message: "Delivered in 12 ms", duration_ms: 12 });
    return undefined;
  };
  const remove = <T extends { id: string }>(list: T[], id: string): void => {
    const at = list.findIndex((each) => each.id === id);
    if (at >= 0) list.splice(at, 1);
  };

  return {
    update() {
      const all = alerts();
      const silenced = all.filter((alert) => alert.silenced).length;
      return { firing: all, total: all.length, pending: 0, silenced, counts: counts(all) };
    },
    async handle(request, url) {
      const path = url.pathname;
      if (!path.startsWith("/api/alerts")) return undefined;
      const acknowledge = /^\/api\/alerts\/(alert-\d+)\/acknowledge$/.exec(path)?.[1];
      if (acknowledge) {
        if (request.method === "POST") acknowledged.add(acknowledge);
        else acknowledged.delete(acknowledge);
        return Response.json(alerts().find(({ id }) => id === acknowledge));
      }
      if (request.method === "GET") return read(path);
      if (request.method === "POST") return create(path, request);
      const id = path.split("/").at(-1) ?? "";
      if (request.method === "DELETE") {
        for (const list of [rules, channels, silences] as { id: string }[][]) remove(list, id);
        return new Response(null, { status: 204 });
      }
      const body = (await request.json()) as Rule;
      const at = rules.findIndex((rule) => rule.id === id);
      if (at < 0) return undefined;
      rules[at] = { ...addRule(body), id };
      return Response.json(rules[at]);
    },
  };
}
