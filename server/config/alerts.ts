import { flag, optional, text, url } from "./kinds.ts";
import { group } from "./setting.ts";

export const alerts = group("Alerts", {
  file: {
    variable: "ALERTS_FILE",
    fallback: "",
    kind: text("a JSON file"),
    help: "alert rules, channels and silences; read again on SIGHUP",
  },
  allowPrivateWebhooks: {
    variable: "ALLOW_PRIVATE_WEBHOOKS",
    fallback: "0",
    kind: flag,
    help: "1: webhooks may go to loopback and private addresses",
  },
  smtpUrl: {
    variable: "SMTP_URL",
    fallback: "",
    kind: optional(url(["smtp", "smtps"], "smtp://user:password@host:port or smtps://…")),
    help: "server for e-mail channels",
  },
  smtpFrom: {
    variable: "SMTP_FROM",
    fallback: "",
    kind: text("an e-mail address"),
    help: "sender of e-mail channels; needed with SMTP_URL",
  },
});
