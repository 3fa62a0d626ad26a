import { createTransport } from "nodemailer";
import { textOf } from "../../../base/error-text.ts";
import type { Outgoing } from "./bodies.ts";
import { linesOf, titleOf } from "./bodies.ts";
import type { Attempt } from "./courier.ts";

export interface MailerOptions {
  readonly url: string;
  readonly from: string;
  readonly timeoutMs: number;
}

/** Sends messages by SMTP. A retry has the same Message-ID, so that a mailbox shows it once. */
export function createMailer(options: MailerOptions): (outgoing: Outgoing) => Promise<Attempt> {
  const { timeoutMs } = options;
  const transport = createTransport(options.url, { from: options.from });
  Object.assign(transport.options, {
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return async ({ id, channel, content }) => {
    const lines = content.alerts.map(
      ({ message, severity, startedMs, runbook }) =>
        `${message}\n  ${severity}, since ${new Date(startedMs).toISOString()}${runbook === null ? "" : `\n  ${runbook}`}`,
    );
    try {
      await transport.sendMail({
        to: channel.to as string,
        subject: titleOf(content),
        messageId: `<${id}@sluice>`,
        text: `${(lines.length > 100 ? linesOf(content) : lines).join("\n\n")}\n`,
        headers: { "Auto-Submitted": "auto-generated" },
      });
      return { ok: true };
    } catch (error) {
      const message = textOf(error);
      // 5xx of SMTP is about this message or its receiver, not about the server.
      const code = error instanceof Error && "responseCode" in error ? Number(error.responseCode) : 0;
      return {
        ok: false,
        kind: code >= 500 ? "refused" : "unreachable",
        message: message.slice(0, 300),
        retryAfter: null,
      };
    }
  };
}
