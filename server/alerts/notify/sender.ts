import { buildRequest, type Outgoing } from "./bodies.ts";
import type { Attempt } from "./courier.ts";
import type { Post } from "./http-post.ts";

export interface SenderDeps {
  readonly post: Post;
  /** Null: SMTP_URL is not set. */
  readonly mail: Sender | null;
  readonly push: Sender;
}

const timeouts: ReadonlySet<number> = new Set([408, 425, 429]);

export type Sender = (outgoing: Outgoing) => Promise<Attempt>;

/** One attempt by whatever way the channel's kind goes. */
export function createSender({ post, mail, push }: SenderDeps): Sender {
  return async (outgoing) => {
    const { kind } = outgoing.channel;
    if (kind === "web_push") return push(outgoing);
    if (kind === "email") {
      return mail === null
        ? { ok: false, kind: "unreachable", message: "e-mail needs SMTP_URL and SMTP_FROM", retryAfter: null }
        : mail(outgoing);
    }
    const result = await post(buildRequest(outgoing));
    if (!result.ok) return { ok: false, kind: "unreachable", message: result.message, retryAfter: null };
    const { status, retryAfter, excerpt } = result;
    if (status >= 200 && status < 300) return { ok: true };
    const message = `answered ${status}${excerpt === "" ? "" : `: ${excerpt.slice(0, 200)}`}`;
    if (status === 410)
      return { ok: false, kind: "gone", message: "answered 410 Gone: it wants nothing more", retryAfter };
    if (status >= 300 && status < 400)
      return { ok: false, kind: "unreachable", message: `answered ${status}; redirects are not followed`, retryAfter };
    const isRefused = status < 500 && !timeouts.has(status);
    return { ok: false, kind: isRefused ? "refused" : "unreachable", message, retryAfter };
  };
}
