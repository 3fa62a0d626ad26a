import webPush from "web-push";
import type { PushMessage } from "../../../contract/alerts.ts";
import type { PushRecord } from "../state/records.ts";
import { linesOf, type Outgoing, titleOf } from "./bodies.ts";
import type { Attempt } from "./courier.ts";
import type { Post } from "./http-post.ts";

export interface PushKeys {
  readonly publicKey: string;
  readonly privateKey: string;
}

export const createPushKeys = (): PushKeys => webPush.generateVAPIDKeys();

/** A push service keeps it so long for a browser that is away; 0 would mean that it is thrown away at once. */
const keptSeconds = 86_400;

export interface PushDeps {
  readonly post: Post;
  readonly keys: PushKeys;
  /** Who is asked when a push service has a complaint: a mailto or https address. */
  readonly contact: string;
  readonly subscriptions: () => readonly PushRecord[];
  /** The push service says that the subscription is no more. */
  readonly onGone: (endpoint: string) => void;
}

/**
 * Sends a message to every browser that has subscribed. They are one channel, and one attempt goes to all that have not taken the
 * message yet: those that have are remembered for as long as it is retried, so nobody is told twice within a run.
 */
export function createPusher(deps: PushDeps): (outgoing: Outgoing) => Promise<Attempt> {
  const taken = new Map<string, Set<string>>();

  async function pushOne(record: PushRecord, outgoing: Outgoing, payload: string): Promise<Attempt> {
    const details = webPush.generateRequestDetails({ endpoint: record.endpoint, keys: record.keys }, payload, {
      vapidDetails: { subject: deps.contact, ...deps.keys },
      TTL: keptSeconds,
      urgency: outgoing.content.type === "alert.firing" ? "high" : "normal",
      // A newer message about the same group takes the place of one that was not delivered yet.
      topic: topicOf(outgoing),
      contentEncoding: "aes128gcm",
    });
    const headers = Object.fromEntries(
      Object.entries(details.headers)
        .filter(([name]) => name.toLowerCase() !== "content-length")
        .map(([name, value]) => [name, String(value)]),
    );
    const result = await deps.post({ url: details.endpoint, headers, body: details.body ?? new Uint8Array(0) });
    if (!result.ok) return { ok: false, kind: "unreachable", message: result.message, retryAfter: null };
    if (result.status >= 200 && result.status < 300) return { ok: true };
    if (result.status === 404 || result.status === 410) {
      deps.onGone(record.endpoint);
      return { ok: true };
    }
    const kind = result.status === 429 || result.status >= 500 ? "unreachable" : "refused";
    return { ok: false, kind, message: `the push service answered ${result.status}`, retryAfter: result.retryAfter };
  }

  return async (outgoing) => {
    const severities = new Set(outgoing.content.alerts.map(({ severity }) => severity));
    const done = taken.get(outgoing.id) ?? new Set<string>();
    const records = deps
      .subscriptions()
      .filter(({ endpoint }) => !done.has(endpoint))
      .filter((record) => record.severities === null || record.severities.some((each) => severities.has(each)));
    const payload = JSON.stringify(payloadOf(outgoing));
    const attempts = await Promise.all(
      records.map(async (record) => {
        const attempt = await pushOne(record, outgoing, payload);
        if (attempt.ok) done.add(record.endpoint);
        return attempt;
      }),
    );
    const failed = attempts.find((attempt) => !attempt.ok);
    if (failed === undefined) taken.delete(outgoing.id);
    else taken.set(outgoing.id, done);
    return failed ?? { ok: true };
  };
}

function topicOf({ channel, content }: Outgoing): string {
  return new Bun.CryptoHasher("sha256")
    .update(`${channel.name}\0${content.groupKey}\0${content.type}`)
    .digest("base64url")
    .slice(0, 32);
}

/** Encrypted, a push holds 4 KB at most; so it tells few words. */
function payloadOf({ content }: Outgoing): PushMessage {
  const only = content.alerts.length === 1 ? content.alerts[0] : undefined;
  return {
    web_push: 8030,
    notification: {
      title: titleOf(content).slice(0, 120),
      body: linesOf(content).join("\n").slice(0, 600),
      navigate: only === undefined ? "/alerts" : `/alerts?alert=${encodeURIComponent(only.id)}`,
      tag: content.groupKey.slice(0, 200),
      silent: content.type === "alert.resolved",
      data: { type: content.type, alert_ids: content.alerts.slice(0, 20).map(({ id }) => id) },
    },
  };
}
