import type { Log } from "../../base/log.ts";
import { type AccessControl, createAccess } from "../access/access.ts";
import { openSessions } from "../access/sessions.ts";
import { createWeb, type Web } from "../access/web.ts";
import type { Config } from "../config/groups.ts";
import { isLoopback } from "../config/listen.ts";
import { checkCertificate, type ListenerOptions } from "../http/listener.ts";

export interface Doors {
  readonly access: AccessControl;
  readonly web: Web;
  /** Null without TLS. */
  readonly tls: ListenerOptions["tls"];
}

/** Keys, sessions, certificate, and what stands between the network and the routes. Throws `ConfigError` when they are wrong. */
export function openAccess(deps: { readonly log: Log }, config: Config, directory: string): Doors {
  const tls = config.tls.certFile === "" ? null : config.tls;
  const secure = tls !== null;
  checkCertificate(tls);
  const onUnsaved = (error: unknown): void =>
    deps.log("warn", "the key of the sessions cannot be kept: viewers sign in again after a restart", {
      error: String(error),
    });
  const sessions = openSessions(
    { now: Date.now, onUnsaved },
    { directory, lifetimeMs: config.access.sessionLifetimeMs },
  );
  const access = createAccess(
    { log: deps.log, sessions, monotonicMs: () => performance.now() },
    { ...config.access, secure },
  );
  const isPrivate = isLoopback(config.listen.host) && !config.listen.allowAnonymous;
  const web = createWeb({
    corsOrigins: config.listen.corsOrigins,
    secure,
    loopbackOnly: isPrivate && !access.viewersNeeded,
    ingestLoopbackOnly: isPrivate && config.access.ingestKeys === "",
  });
  return { access, web, tls };
}
