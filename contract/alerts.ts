import Type, { type Static } from "typebox";
import { limits } from "./limits.ts";

/**
 * Alerts: what the page, the command line and ALERTS_FILE say to `/api/alerts`, and what it answers. Source: INTERFACE,
 * "Alerts". Every object refuses fields that it does not know.
 */

const closed = { additionalProperties: false } as const;

/** Bounds that a caller can meet; those of the evaluator's memory stand in server/alerts. */
export const alertLimits = {
  nameCharacters: 128,
  messageCharacters: 1_024,
  patternCharacters: 512,
  commentCharacters: 1_024,
  urlCharacters: 2_048,
  secretCharacters: 256,
  matchers: 16,
  channelsPerRule: 16,
  rules: 1_000,
  channels: 200,
  silences: 1_000,
  streamAlerts: 100,
  pageDefault: 100,
  pageMax: 1_000,
  testFired: 1_000,
} as const;

export const durationPattern = "^\\d{1,9}(\\.\\d{1,3})?(ms|s|m|h|d)$";
/** `500ms`, `30s`, `5m`, `1.5h`, `30d`. */
export const Duration = Type.String({ pattern: durationPattern, maxLength: 16, description: "500ms, 30s, 5m, 1h, 7d" });
const Name = Type.String({ minLength: 1, maxLength: alertLimits.nameCharacters });
const Time = Type.String({ maxLength: 40, description: "ISO 8601" });
const metaField = "^meta\\.[\\s\\S]{1,256}$";

export const severities = ["info", "warning", "critical"] as const;
export const Severity = Type.Enum([...severities]);
export type Severity = (typeof severities)[number];

/** Selects devices. Both given: both must hold. `meta` compares the newest metadata of a device. */
export const RuleDevices = Type.Object(
  {
    prefix: Type.Optional(Type.String({ minLength: 1, maxLength: limits.deviceIdCharacters })),
    meta: Type.Optional(Type.Record(Type.String({ pattern: "^[\\s\\S]*$" }), Type.String(), { maxProperties: 16 })),
  },
  closed,
);
export type RuleDevices = Static<typeof RuleDevices>;

export const measures = ["last", "avg", "min", "max", "sum", "p50", "p95", "p99", "count", "rate"] as const;
export type Measure = (typeof measures)[number];

const EventType = Type.String({ minLength: 1, maxLength: limits.eventTypeCharacters });

export const ValueCondition = Type.Object(
  {
    kind: Type.Literal("value"),
    event_type: EventType,
    measure: Type.Enum([...measures]),
    window: Type.Optional(Duration),
    by: Type.Optional(
      Type.Union([Type.Literal("device"), Type.Literal("fleet"), Type.String({ pattern: metaField })], {
        description:
          "device, fleet or meta.KEY; a series for each device, one for all, or one for each value of the key",
      }),
    ),
    above: Type.Optional(Type.Number({ description: "fires while the value is greater" })),
    below: Type.Optional(Type.Number({ description: "fires while the value is less" })),
    recover: Type.Optional(Type.Number({ description: "once firing, stays so until the value has reached this" })),
  },
  closed,
);
export type ValueCondition = Static<typeof ValueCondition>;

export const TextCondition = Type.Object(
  {
    kind: Type.Literal("text"),
    event_type: EventType,
    equals: Type.Optional(Type.String({ maxLength: alertLimits.patternCharacters })),
    matches: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: alertLimits.patternCharacters,
        description: "RE2 pattern, found anywhere",
      }),
    ),
  },
  closed,
);
export type TextCondition = Static<typeof TextCondition>;

/** `after` and `intervals` both given: the later of the two. Neither: five of the device's own intervals. */
export const SilentCondition = Type.Object(
  {
    kind: Type.Literal("silent"),
    after: Type.Optional(Duration),
    intervals: Type.Optional(Type.Number({ minimum: 1, maximum: 1_000 })),
  },
  closed,
);
export type SilentCondition = Static<typeof SilentCondition>;

export const signals = ["store_lag", "clickhouse", "dead_letters", "journal_used", "refused"] as const;
/**
 * `store_lag` in seconds, `clickhouse` 1 while it cannot be used, `dead_letters` those of the last five minutes,
 * `journal_used` a share from 0 to 1, `refused` events of the last minute that were refused for want of room.
 */
export const PipelineCondition = Type.Object(
  {
    kind: Type.Literal("pipeline"),
    signal: Type.Enum([...signals]),
    above: Type.Optional(Type.Number({ description: "default 0" })),
  },
  closed,
);
export type PipelineCondition = Static<typeof PipelineCondition>;
export type Signal = (typeof signals)[number];

export const Condition = Type.Union([ValueCondition, TextCondition, SilentCondition, PipelineCondition]);
export type Condition = Static<typeof Condition>;

/** While an instance of `rule` fires whose `equal` fields are those of this alert, this alert sends no message. */
export const Inhibitor = Type.Object(
  {
    rule: Name,
    equal: Type.Optional(Type.Array(Type.String({ pattern: "^(device_id|meta\\.[\\s\\S]{1,256})$" }), { maxItems: 8 })),
  },
  closed,
);
export type Inhibitor = Static<typeof Inhibitor>;

/** A rule as it is written: the body of POST and PUT, and a rule of ALERTS_FILE. */
export const Rule = Type.Object(
  {
    name: Name,
    severity: Severity,
    enabled: Type.Optional(Type.Boolean({ description: "default true" })),
    channels: Type.Optional(
      Type.Array(Name, { maxItems: alertLimits.channelsPerRule, description: "names; absent: every channel" }),
    ),
    message: Type.Optional(
      Type.String({
        maxLength: alertLimits.messageCharacters,
        description: "placeholders {{device_id}} {{group}} {{value}} {{rule}} {{severity}} {{meta.KEY}}",
      }),
    ),
    runbook: Type.Optional(
      Type.String({ maxLength: alertLimits.urlCharacters, pattern: "^https?://", description: "a link" }),
    ),
    for: Type.Optional(Duration),
    keep_firing_for: Type.Optional(Duration),
    devices: Type.Optional(RuleDevices),
    inhibited_by: Type.Optional(Type.Array(Inhibitor, { maxItems: 8 })),
    when: Condition,
  },
  closed,
);
export type Rule = Static<typeof Rule>;

const ruleState = {
  id: Type.String(),
  source: Type.Union([Type.Literal("api"), Type.Literal("file")], {
    description: "file: from ALERTS_FILE, cannot be changed here",
  }),
  created_at: Type.String(),
  updated_at: Type.String(),
  firing: Type.Integer({ description: "instances that fire now" }),
  series: Type.Integer({ description: "what the rule watches now" }),
  skipped_series: Type.Integer({ description: "series left out because the limit is reached" }),
};

/** A rule as it is read. */
export const StoredRule = Type.Object({ ...Rule.properties, ...ruleState });
export type StoredRule = Static<typeof StoredRule>;

/** GET /api/alerts/rules */
export const Rules = Type.Object({ rules: Type.Array(StoredRule), total: Type.Integer() });
export type Rules = Static<typeof Rules>;

/** POST /api/alerts/rules/test */
export const RuleTest = Type.Object(
  {
    rule: Rule,
    from: Type.Optional(Time),
    to: Type.Optional(Time),
  },
  closed,
);
export type RuleTest = Static<typeof RuleTest>;

/** An interval in which the rule would have fired. */
export const Fired = Type.Object({
  device_id: Type.Optional(Type.String()),
  group: Type.Optional(Type.String()),
  from: Type.String(),
  to: Type.Union([Type.String(), Type.Null()], { description: "null: still firing at the end of the range" }),
  value: Type.Union([Type.Number(), Type.String(), Type.Null()]),
});
export type Fired = Static<typeof Fired>;

export const RuleTestResult = Type.Object({
  fired: Type.Array(Fired, { description: `at most ${alertLimits.testFired}, oldest first` }),
  count: Type.Integer(),
  from: Type.String(),
  to: Type.String(),
  series: Type.Integer(),
  resolution_seconds: Type.Number({ description: "0: every event was replayed; else steps of so many seconds" }),
});
export type RuleTestResult = Static<typeof RuleTestResult>;

export const AlertState = Type.Union([
  Type.Literal("pending"),
  Type.Literal("firing"),
  Type.Literal("recovering"),
  Type.Literal("stale"),
]);
export type AlertState = Static<typeof AlertState>;

const AlertValue = Type.Union([Type.Number(), Type.String(), Type.Null()]);

/** What a rule says of one series now. */
export const Alert = Type.Object({
  id: Type.String({ description: "of this alarm: the rule, the series and when it began" }),
  rule_id: Type.String(),
  rule: Type.String(),
  severity: Severity,
  device_id: Type.Optional(Type.String()),
  group: Type.Optional(Type.String()),
  state: AlertState,
  since: Type.String({ description: "when this state began" }),
  started_at: Type.String({ description: "when the condition first held" }),
  value: AlertValue,
  message: Type.String(),
  runbook: Type.Optional(Type.String()),
  silenced: Type.Boolean({ description: "by a silence, a maintenance window or another alert" }),
  acknowledged: Type.Union([
    Type.Object({ at: Type.String(), by: Type.String(), comment: Type.String() }),
    Type.Null(),
  ]),
});
export type Alert = Static<typeof Alert>;

const Counts = Type.Object({ critical: Type.Integer(), warning: Type.Integer(), info: Type.Integer() });

/** GET /api/alerts */
export const Alerts = Type.Object({
  alerts: Type.Array(Alert),
  total: Type.Integer(),
  counts: Counts,
  cursor: Type.Union([Type.String(), Type.Null()]),
});
export type Alerts = Static<typeof Alerts>;

/** `event: alerts` of GET /dashboard-stream: at once, and when it changes. Firing, recovering and stale ones; worst first. */
export const AlertsUpdate = Type.Object({
  firing: Type.Array(Alert, { description: `at most ${alertLimits.streamAlerts}` }),
  total: Type.Integer(),
  pending: Type.Integer(),
  silenced: Type.Integer({ description: "of total" }),
  counts: Counts,
});
export type AlertsUpdate = Static<typeof AlertsUpdate>;

/** POST /api/alerts/ID/acknowledge; DELETE takes it back. */
export const Acknowledgement = Type.Object(
  { comment: Type.Optional(Type.String({ maxLength: alertLimits.commentCharacters })) },
  closed,
);
export type Acknowledgement = Static<typeof Acknowledgement>;

export const Transition = Type.Object({
  id: Type.String(),
  alert_id: Type.String(),
  at: Type.String({ description: "by the clock that the rule goes by: of the event, or of receipt" }),
  decided_at: Type.String({ description: "when this service decided it" }),
  rule_id: Type.String(),
  rule: Type.String(),
  severity: Severity,
  device_id: Type.Optional(Type.String()),
  group: Type.Optional(Type.String()),
  from: Type.Union([Type.Literal("inactive"), AlertState]),
  to: Type.Union([Type.Literal("inactive"), Type.Literal("resolved"), AlertState]),
  value: AlertValue,
  message: Type.String(),
});
export type Transition = Static<typeof Transition>;

/** GET /api/alerts/history, newest first. */
export const AlertHistory = Type.Object({
  transitions: Type.Array(Transition),
  cursor: Type.Union([Type.String(), Type.Null()]),
});
export type AlertHistory = Static<typeof AlertHistory>;

/** `*` at the end of a value stands for anything. Fields: rule, device_id, severity, group, meta.KEY. */
export const Matchers = Type.Record(
  Type.String({ pattern: "^(rule|device_id|severity|group|meta\\.[\\s\\S]{1,256})$" }),
  Type.String({ maxLength: limits.deviceIdCharacters }),
  { minProperties: 1, maxProperties: alertLimits.matchers, additionalProperties: false },
);
export type Matchers = Static<typeof Matchers>;

export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

/** A window that comes back: on these days (absent: every day) from `start` for `duration`, in `time_zone`. */
export const Recurrence = Type.Object(
  {
    days: Type.Optional(Type.Array(Type.Enum([...weekdays]), { minItems: 1, maxItems: 7 })),
    start: Type.String({ pattern: "^([01]\\d|2[0-3]):[0-5]\\d$", description: "02:00" }),
    duration: Duration,
    time_zone: Type.Optional(Type.String({ maxLength: 64, description: "IANA name; default UTC" })),
  },
  closed,
);
export type Recurrence = Static<typeof Recurrence>;

/** Mutes messages, never states. With `repeats` only inside its windows between `from` and `to`. */
export const Silence = Type.Object(
  {
    matchers: Matchers,
    from: Type.Optional(Time),
    to: Time,
    comment: Type.Optional(Type.String({ maxLength: alertLimits.commentCharacters })),
    repeats: Type.Optional(Recurrence),
  },
  closed,
);
export type Silence = Static<typeof Silence>;

export const StoredSilence = Type.Object({
  ...Silence.properties,
  from: Type.String(),
  comment: Type.String(),
  id: Type.String(),
  source: ruleState.source,
  created_at: Type.String(),
  created_by: Type.String(),
  active: Type.Boolean(),
});
export type StoredSilence = Static<typeof StoredSilence>;

/** GET /api/alerts/silences: those that have not ended. */
export const Silences = Type.Object({ silences: Type.Array(StoredSilence), total: Type.Integer() });
export type Silences = Static<typeof Silences>;

export const channelKinds = ["webhook", "alertmanager", "slack", "discord", "ntfy", "email", "web_push"] as const;
export type ChannelKind = (typeof channelKinds)[number];

/** How alerts are put together into messages. */
export const Grouping = Type.Object(
  {
    by: Type.Optional(
      Type.Array(Type.String({ pattern: "^(rule|severity|device_id|group|meta\\.[\\s\\S]{1,256})$" }), {
        maxItems: 4,
        description: "a message for each combination; default rule; empty: one for all",
      }),
    ),
    wait: Type.Optional(Duration),
    interval: Type.Optional(Duration),
    repeat: Type.Optional(Duration),
  },
  closed,
);
export type Grouping = Static<typeof Grouping>;

/** A channel as it is written. `secret` of a webhook: `whsec_` and base64; absent: one is made, and shown in that answer alone. */
export const Channel = Type.Object(
  {
    name: Name,
    kind: Type.Enum([...channelKinds]),
    url: Type.Optional(Type.String({ pattern: "^https?://", maxLength: alertLimits.urlCharacters })),
    to: Type.Optional(
      Type.String({ maxLength: alertLimits.urlCharacters, description: "e-mail addresses, comma-separated" }),
    ),
    secret: Type.Optional(Type.String({ maxLength: alertLimits.secretCharacters, description: "written, never read" })),
    enabled: Type.Optional(Type.Boolean()),
    send_resolved: Type.Optional(Type.Boolean({ description: "default true" })),
    grouping: Type.Optional(Grouping),
  },
  closed,
);
export type Channel = Static<typeof Channel>;

/** A channel as it is read: without its secret. */
export const StoredChannel = Type.Object({
  ...Type.Omit(Channel, ["secret"]).properties,
  id: Type.String(),
  source: ruleState.source,
  created_at: Type.String(),
  updated_at: Type.String(),
  has_secret: Type.Boolean(),
  status: Type.Union([Type.Literal("ok"), Type.Literal("failing"), Type.Literal("disabled"), Type.Literal("unused")]),
  waiting: Type.Integer({ description: "messages not delivered yet" }),
  delivered: Type.Integer(),
  dropped: Type.Integer({ description: "messages given up, or pushed out of a full outbox" }),
  last_error: Type.Union([Type.Object({ at: Type.String(), message: Type.String() }), Type.Null()]),
  next_attempt_at: Type.Union([Type.String(), Type.Null()]),
  subscriptions: Type.Integer({ description: "browsers, of a web_push channel" }),
});
export type StoredChannel = Static<typeof StoredChannel>;

/** POST /api/alerts/channels: the secret that was made for it is in this answer alone. */
export const CreatedChannel = Type.Object({ ...StoredChannel.properties, secret: Type.Optional(Type.String()) });
export type CreatedChannel = Static<typeof CreatedChannel>;

export const Channels = Type.Object({
  channels: Type.Array(StoredChannel),
  total: Type.Integer(),
  email: Type.Boolean({ description: "SMTP_URL is set" }),
});
export type Channels = Static<typeof Channels>;

/** POST /api/alerts/channels/ID/test */
export const ChannelTest = Type.Object({
  ok: Type.Boolean(),
  message: Type.String(),
  duration_ms: Type.Number(),
});
export type ChannelTest = Static<typeof ChannelTest>;

/** GET /api/alerts/push: what a browser needs to subscribe. */
export const PushInfo = Type.Object({
  public_key: Type.String({ description: "applicationServerKey, base64url" }),
  subscriptions: Type.Integer(),
});
export type PushInfo = Static<typeof PushInfo>;

/** POST /api/alerts/push: a PushSubscription as JSON; the same endpoint again replaces it. DELETE with the endpoint ends it. */
export const PushSubscription = Type.Object(
  {
    endpoint: Type.String({ pattern: "^https?://", maxLength: alertLimits.urlCharacters }),
    expirationTime: Type.Optional(Type.Union([Type.Number(), Type.Null()])),
    keys: Type.Object({ p256dh: Type.String({ maxLength: 200 }), auth: Type.String({ maxLength: 64 }) }, closed),
    severities: Type.Optional(Type.Array(Severity, { maxItems: 3, description: "absent: all" })),
  },
  closed,
);
export type PushSubscription = Static<typeof PushSubscription>;

export const PushEnd = Type.Object({ endpoint: Type.String({ maxLength: alertLimits.urlCharacters }) }, closed);
export type PushEnd = Static<typeof PushEnd>;

/** What a push message carries, decrypted: a declarative web push, so that no worker has to build it. */
export const PushMessage = Type.Object({
  web_push: Type.Literal(8030),
  notification: Type.Object({
    title: Type.String(),
    body: Type.String(),
    navigate: Type.String(),
    tag: Type.String(),
    silent: Type.Boolean(),
    app_badge: Type.Optional(Type.String()),
    data: Type.Object({
      type: Type.Union([Type.Literal("alert.firing"), Type.Literal("alert.resolved")]),
      alert_ids: Type.Array(Type.String()),
    }),
  }),
});
export type PushMessage = Static<typeof PushMessage>;

/** ALERTS_FILE. */
export const AlertsFile = Type.Object(
  {
    rules: Type.Optional(Type.Array(Rule, { maxItems: alertLimits.rules })),
    channels: Type.Optional(Type.Array(Channel, { maxItems: alertLimits.channels })),
    silences: Type.Optional(Type.Array(Silence, { maxItems: alertLimits.silences })),
  },
  closed,
);
export type AlertsFile = Static<typeof AlertsFile>;

/** GET /api/alerts/audit, newest first: who changed what. */
export const AlertAudit = Type.Object({
  changes: Type.Array(
    Type.Object({
      at: Type.String(),
      who: Type.String({ description: "the editor's name; empty where nobody has to sign in" }),
      action: Type.String(),
      target: Type.String(),
    }),
  ),
});
export type AlertAudit = Static<typeof AlertAudit>;
