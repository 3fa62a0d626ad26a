import type { ChannelKind, Severity } from "../../../contract/alerts.ts";
import type { AlertNotice, ChannelRecord, MessageContent } from "../state/records.ts";
import type { PostRequest } from "./http-post.ts";
import { signatureHeaders } from "./webhook-signature.ts";

/** What a message becomes on the wire of one kind of channel. */
export interface Outgoing {
  readonly id: string;
  readonly channel: ChannelRecord["channel"];
  readonly content: MessageContent;
  readonly attemptMs: number;
}

/** Alerts that a message for people lists; it says how many more there are. */
const listedMax = 10;
const severityOrder: readonly Severity[] = ["critical", "warning", "info"];
const colours: Readonly<Record<Severity, number>> = { critical: 0xc4314b, warning: 0xb3700b, info: 0x2b6cb0 };
const resolvedColour = 0x2f855a;
const json = { "Content-Type": "application/json" };
/** An Alertmanager ends an alert by itself when it is not told of it again within this: 2.5 times the repeat interval. */
const alertmanagerHoldsMs = 2.5 * 3_600_000;

const iso = (ms: number): string => new Date(ms).toISOString();

type PostedKind = Exclude<ChannelKind, "email" | "web_push">;

const builders: Readonly<Record<PostedKind, (outgoing: Outgoing, url: string) => PostRequest>> = {
  webhook: genericRequest,
  alertmanager: alertmanagerRequest,
  slack: (outgoing, url) => ({ url, headers: json, body: JSON.stringify(slackBody(outgoing.content)) }),
  discord: (outgoing, url) => ({ url, headers: json, body: JSON.stringify(discordBody(outgoing.content)) }),
  ntfy: ntfyRequest,
};

export function buildRequest(outgoing: Outgoing): PostRequest {
  const { kind, url } = outgoing.channel;
  return builders[kind as PostedKind](outgoing, url as string);
}

function genericRequest({ id, channel, content, attemptMs }: Outgoing, url: string): PostRequest {
  const body = JSON.stringify({
    type: content.type,
    timestamp: iso(content.createdMs),
    data: {
      alerts: content.alerts.map((alert) => alertBody(alert)),
      group: { key: content.groupKey, labels: content.labels, channel: channel.name, count: content.alerts.length },
      ...(content.repeat ? { repeat: true } : {}),
      ...(content.test ? { test: true } : {}),
    },
  });
  const signature = channel.secret === undefined ? {} : signatureHeaders(id, attemptMs, body, channel.secret);
  return { url, headers: { ...json, ...signature }, body };
}

function alertBody(alert: AlertNotice): Record<string, unknown> {
  return {
    id: alert.id,
    rule_id: alert.ruleId,
    rule: alert.rule,
    severity: alert.severity,
    state: alert.state,
    ...(alert.deviceId === null ? {} : { device_id: alert.deviceId }),
    ...(alert.group === null ? {} : { group: alert.group }),
    started_at: iso(alert.startedMs),
    ...(alert.state === "resolved" ? { ended_at: iso(alert.atMs) } : { fired_at: iso(alert.atMs) }),
    value: alert.value,
    message: alert.message,
    ...(alert.runbook === null ? {} : { runbook: alert.runbook }),
    metadata: alert.metadata,
  };
}

/** Alertmanager's API v2: POST /api/v2/alerts. */
function alertmanagerRequest({ content }: Outgoing, url: string): PostRequest {
  const alerts = content.alerts.map((alert) => ({
    labels: {
      alertname: alert.rule,
      severity: alert.severity,
      ...(alert.deviceId === null ? {} : { device_id: alert.deviceId }),
      ...(alert.group === null ? {} : { group: alert.group }),
      ...Object.fromEntries(Object.entries(alert.metadata).map(([key, value]) => [labelName(key), value])),
    },
    annotations: { summary: alert.message, ...(alert.runbook === null ? {} : { runbook_url: alert.runbook }) },
    startsAt: iso(alert.startedMs),
    endsAt: iso(alert.state === "resolved" ? alert.atMs : content.createdMs + alertmanagerHoldsMs),
  }));
  const base = url.replace(/\/+$/, "");
  return {
    url: base.endsWith("/api/v2/alerts") ? base : `${base}/api/v2/alerts`,
    headers: json,
    body: JSON.stringify(alerts),
  };
}

/** Prometheus' label names have letters, digits and underscores. */
const labelName = (key: string): string => `meta_${key.replaceAll(/[^A-Za-z0-9_]/g, "_")}`;

const worstOf = ({ alerts }: MessageContent): Severity =>
  severityOrder.find((severity) => alerts.some((alert) => alert.severity === severity)) ?? "info";

export function titleOf(content: MessageContent): string {
  const { alerts, type, test, repeat } = content;
  if (test) return "Sluice: a test";
  const rules = [...new Set(alerts.map(({ rule }) => rule))];
  const what = rules.length === 1 ? rules[0] : `${rules.length} rules`;
  const count = alerts.length === 1 ? "" : ` (${alerts.length})`;
  if (type === "alert.resolved") return `Resolved: ${what}${count}`;
  return `${repeat ? "Still firing" : "Firing"}: ${what}${count}`;
}

export function linesOf({ alerts }: MessageContent): string[] {
  const lines = alerts.slice(0, listedMax).map(({ message }) => message);
  if (alerts.length > listedMax) lines.push(`… and ${alerts.length - listedMax} more`);
  return lines;
}

function slackBody(content: MessageContent): unknown {
  // Slack reads &, < and > as markup.
  const plain = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const lines = linesOf(content).map((line) => `• ${plain(line)}`);
  return {
    text: `*${plain(titleOf(content))}*\n${lines.join("\n")}`,
    attachments: runbooksOf(content).map((link) => ({ fallback: link, title: "Runbook", title_link: link })),
  };
}

function discordBody(content: MessageContent): unknown {
  return {
    // Nobody is mentioned by what a device sends.
    allowed_mentions: { parse: [] },
    embeds: [
      {
        title: titleOf(content).slice(0, 256),
        description: linesOf(content).join("\n").slice(0, 4_096),
        color: content.type === "alert.resolved" ? resolvedColour : colours[worstOf(content)],
        timestamp: iso(content.createdMs),
        ...(runbooksOf(content).length === 0 ? {} : { url: runbooksOf(content)[0] }),
      },
    ],
  };
}

/** https://docs.ntfy.sh/publish/: the topic is the URL's path; as JSON it is told at the server's root. */
function ntfyRequest({ channel, content, id }: Outgoing, url: string): PostRequest {
  const target = new URL(url);
  const topic =
    target.pathname
      .split("/")
      .filter((part) => part !== "")
      .pop() ?? "";
  target.pathname = target.pathname.slice(0, target.pathname.lastIndexOf(topic)) || "/";
  const priority = { critical: 5, warning: 4, info: 3 }[worstOf(content)];
  const isResolved = content.type === "alert.resolved";
  const body = {
    topic,
    title: titleOf(content),
    message: linesOf(content).join("\n"),
    priority: isResolved ? 3 : priority,
    tags: [isResolved ? "white_check_mark" : "rotating_light"],
    ...(runbooksOf(content).length === 0 ? {} : { click: runbooksOf(content)[0] }),
  };
  const token = channel.secret === undefined ? {} : { Authorization: `Bearer ${channel.secret}` };
  return { url: target.href, headers: { ...json, ...token, "X-Message-Id": id }, body: JSON.stringify(body) };
}

function runbooksOf({ alerts }: MessageContent): string[] {
  return [...new Set(alerts.flatMap(({ runbook }) => runbook ?? []))].slice(0, 5);
}
