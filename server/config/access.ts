import { duration, integer, optional, text } from "./kinds.ts";
import { group } from "./setting.ts";

export const access = group("Keys and sessions", {
  ingestKeys: {
    variable: "INGEST_KEYS",
    fallback: "",
    kind: text("name:secret[:device-prefix], comma-separated, or @FILE"),
    help: "keys that may write; unset: open, loopback only",
    secret: true,
  },
  viewerKeys: {
    variable: "VIEWER_KEYS",
    fallback: "",
    kind: text("name:secret, comma-separated, or @FILE"),
    help: "keys that may read; unset: open, loopback only",
    secret: true,
  },
  editorKeys: {
    variable: "EDITOR_KEYS",
    fallback: "",
    kind: text("name:secret, comma-separated, or @FILE"),
    help: "keys that may read, and change alert rules, silences, channels, saved views and links; unset: nobody where VIEWER_KEYS is set, else everybody",
    secret: true,
  },
  sessionLifetimeMs: {
    variable: "SESSION_LIFETIME",
    fallback: "30d",
    kind: duration("1s", "366d"),
    help: "a viewer signs in again after this long",
  },
  rateLimitEvents: {
    variable: "RATE_LIMIT_EVENTS",
    fallback: "",
    kind: optional(integer(1, 1_000_000_000)),
    help: "events per second for each key",
  },
});
