import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Server } from "bun";
import type { Unacceptable } from "../../base/http/handler.ts";
import { createSocketListener } from "../../base/http/socket-listener.ts";
import type { Log } from "../../base/log.ts";
import { watchFiles } from "../../base/watched-files.ts";
import { ConfigError } from "../config/config-error.ts";
import type { Handler, Listener } from "./handler.ts";
import { Refusal, refusalResponse } from "./refusal.ts";

export interface ListenerOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly idleTimeoutSeconds: number;
  readonly maxRequestBodySize: number;
  /** Open at once; only without TLS. */
  readonly connectionsMax: number;
  readonly fetch: Handler;
  readonly error: (error: unknown) => Response;
}

interface Pem {
  readonly cert: string;
  readonly key: string;
}

const headTimeoutMs = 10_000;
const lingerMs = 2_000;
const headMaxBytes = 16 * 1024;
const headersMax = 100;

const refusals: Readonly<Record<Unacceptable, Refusal>> = {
  syntax: new Refusal("malformed_request", "the request is not HTTP/1.1"),
  head_too_large: new Refusal("headers_too_large", "the request's target and headers are too large"),
  version: new Refusal("version_not_supported", "the HTTP version must be 1.1 or 1.0"),
  host: new Refusal("malformed_request", "a request has one Host header, and a target that is a path"),
  late: new Refusal("request_timeout", "the request's headers did not arrive in time"),
  early: new Refusal("malformed_request", "the request ended early"),
  too_many_connections: new Refusal(
    "overloaded",
    "as many connections are open as the service takes (MAX_CONNECTIONS)",
  ),
};

/**
 * Listens: over plain sockets with a parser of ours, over TLS with Bun's server, which also speaks HTTP/2. Throws `ConfigError`
 * when certificate and key cannot be used, or the address is taken.
 */
export function createListener(deps: { readonly log: Log }, options: ListenerOptions): Listener {
  const { tls, hostname, port, connectionsMax, fetch, error } = options;
  if (tls !== null) return createTlsListener(deps, { ...options, tls });
  const idleTimeoutMs = options.idleTimeoutSeconds * 1000;
  const times = { headTimeoutMs, idleTimeoutMs, lingerMs };
  const listener = namingTheSetting(options, () =>
    createSocketListener(
      {
        fetch,
        error,
        refuse: (why) => refusalResponse(refusals[why]),
        // Nobody half-closes and then listens to a stream.
        isGoneWithItsEnd: ({ method }) => method === "GET",
        onBug: createBugLog(deps.log, () => performance.now()),
        monotonicNow: () => performance.now(),
      },
      { hostname, port, connectionsMax, headMaxBytes, headersMax, ...times },
    ),
  );
  return { ...listener, reload: () => undefined };
}

const bugLogIntervalMs = 1000;

/** A bug in the listener may be met by every connection: one line a second is enough. */
function createBugLog(log: Log, now: () => number): (bug: unknown) => void {
  let loggedAtMs = Number.NEGATIVE_INFINITY;
  let unlogged = 0;
  return (bug) => {
    if (now() - loggedAtMs < bugLogIntervalMs) {
      unlogged++;
      return;
    }
    const error = bug instanceof Error ? (bug.stack ?? bug.message) : String(bug);
    log("error", "a connection was closed because of a bug in the listener", { error, unlogged_before: unlogged });
    loggedAtMs = now();
    unlogged = 0;
  };
}

function namingTheSetting<T>({ hostname, port }: Pick<ListenerOptions, "hostname" | "port">, listen: () => T): T {
  try {
    return listen();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "EADDRINUSE") throw new ConfigError(`PORT=${port}: taken by another program; use a free port`);
    if (code === "EACCES") throw new ConfigError(`PORT=${port}: not allowed; use a port that this user may listen on`);
    if (code === "EADDRNOTAVAIL" || code === "EINVAL") {
      throw new ConfigError(`HOST=${hostname}: not allowed; use an address of this machine`);
    }
    throw error;
  }
}

type TlsOptions = ListenerOptions & { readonly tls: NonNullable<ListenerOptions["tls"]> };

/**
 * Bun cannot change the certificate of a running server, so a new one is a new server on the same port (SO_REUSEPORT): it takes new
 * connections from then on, while the old server finishes those that it has.
 */
function createTlsListener(deps: { readonly log: Log }, options: TlsOptions): Listener {
  const { tls } = options;
  let port = options.port;
  const old = new Set<Server<undefined>>();

  function listen(pem: Pem): Server<undefined> {
    const { hostname, maxRequestBodySize, fetch, error, idleTimeoutSeconds: idleTimeout } = options;
    const shared = { development: false, reusePort: true, http2: true, tls: { ...pem } } as const;
    return Bun.serve({ hostname, port, idleTimeout, maxRequestBodySize, fetch, error, ...shared });
  }

  let served = readCertificate(tls);
  let server = listenFirst();
  port = server.port ?? port;

  /** A port that another program has is refused, though a certificate's change needs it to be shareable. */
  function listenFirst(): Server<undefined> {
    const { hostname, fetch } = options;
    return namingTheSetting(options, () => {
      if (port !== 0) void Bun.serve({ hostname, port, development: false, reusePort: false, fetch }).stop(true);
      return listen(served);
    });
  }

  function reload(): void {
    const next = readPem(tls);
    if (!next.ok) {
      deps.log("error", "TLS: the new certificate cannot be used; the old one stays in use", { reason: next.reason });
      return;
    }
    if (next.pem.cert === served.cert && next.pem.key === served.key) return;
    served = next.pem;
    const before = server;
    server = listen(served);
    old.add(before);
    void before.stop(false).then(() => old.delete(before));
    deps.log("info", "TLS: a new certificate is in use", { expires: new X509Certificate(served.cert).validTo });
  }

  const watched = watchFiles([tls.certFile, tls.keyFile], reload);
  return {
    url: server.url,
    addressOf: (request) => server.requestIP(request)?.address ?? "",
    timeout: (request, seconds) => server.timeout(request, seconds),
    reload,
    async stop() {
      watched.stop();
      await Promise.all([server, ...old].map((each) => each.stop(true)));
    },
  };
}

/** Throws `ConfigError` when certificate and key cannot be used. */
export function checkCertificate(tls: ListenerOptions["tls"]): void {
  if (tls !== null) readCertificate(tls);
}

function readCertificate(tls: TlsOptions["tls"]): Pem {
  const read = readPem(tls);
  if (!read.ok) throw new ConfigError(`TLS_CERT=${tls.certFile}: ${read.reason}`);
  return read.pem;
}

type ReadPem = { readonly ok: true; readonly pem: Pem } | { readonly ok: false; readonly reason: string };

function readPem(files: { readonly certFile: string; readonly keyFile: string }): ReadPem {
  try {
    const cert = readFileSync(files.certFile, "utf8");
    const key = readFileSync(files.keyFile, "utf8");
    const certificate = new X509Certificate(cert);
    if (!certificate.checkPrivateKey(createPrivateKey(key))) {
      return { ok: false, reason: "TLS_KEY is not the key of this certificate" };
    }
    if (Date.parse(certificate.validTo) < Date.now()) return { ok: false, reason: "the certificate has expired" };
    return { ok: true, pem: { cert, key } };
  } catch (error) {
    if (error instanceof Error) return { ok: false, reason: `cannot be read: ${error.message}` };
    throw error;
  }
}
