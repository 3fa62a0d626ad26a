import { flag, integer, list, oneOf, text } from "./kinds.ts";
import { group } from "./setting.ts";

export const listen = group("Listening", {
  host: {
    variable: "HOST",
    fallback: "127.0.0.1",
    kind: text("an address"),
    help: "address to listen on; without keys only a loopback address",
  },
  port: {
    variable: "PORT",
    fallback: "8000",
    kind: integer(0, 65_535, " (0: any free port)"),
    help: "port to listen on",
  },
  allowAnonymous: {
    variable: "ALLOW_ANONYMOUS",
    fallback: "0",
    kind: flag,
    help: "1: listen on a non-loopback HOST without keys",
  },
  connectionsMax: {
    variable: "MAX_CONNECTIONS",
    fallback: "20000",
    kind: integer(1, 1_000_000),
    help: "connections open at once without TLS; a further one gets 503",
  },
  corsOrigins: {
    variable: "CORS_ORIGINS",
    fallback: "",
    kind: list({
      parse: (part) => (URL.canParse(part) && new URL(part).origin === part ? part : undefined),
      allowed: "origins like https://example.org, comma-separated",
    }),
    help: "web origins that may read the API and post events; unset: none",
  },
  role: {
    variable: "ROLE",
    fallback: "all",
    kind: oneOf("all", "ingest", "writer"),
    help: "ingest: no ClickHouse writer; writer: no ingestion; both need REDIS_URL",
  },
});

const loopbackHosts = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/;

export function isLoopback(host: string): boolean {
  return loopbackHosts.test(host);
}
