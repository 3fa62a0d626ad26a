import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Server } from "bun";
import type { Log } from "../../base/log.ts";
import { watchFiles } from "../../base/watched-files.ts";
import { ConfigError } from "../config/config-error.ts";

export type Handler = (request: Request) => Response | Promise<Response>;

export interface ListenerOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly idleTimeoutSeconds: number;
  readonly maxRequestBodySize: number;
  readonly fetch: Handler;
  readonly error: (error: Error) => Response;
}

export interface Listener {
  readonly url: URL;
  /** The peer's address; empty when it has gone. */
  addressOf(request: Request): string;
  /** The connection may be idle for so long while this request is answered; 0: for ever. */
  timeout(request: Request, seconds: number): void;
  /** Reads the certificate again. */
  reload(): void;
  stop(): Promise<void>;
}

interface Pem {
  readonly cert: string;
  readonly key: string;
}

/**
 * Listens, with TLS and HTTP/2 when there is a certificate. Bun cannot change the certificate of a running server, so a new one
 * is a new server on the same port (SO_REUSEPORT): it takes new connections from then on, while the old server finishes those
 * that it has. Throws `ConfigError` when certificate and key cannot be used, or the address is taken.
 */
export function createListener(deps: { readonly log: Log }, options: ListenerOptions): Listener {
  const { tls } = options;
  let port = options.port;
  const old = new Set<Server<undefined>>();

  function listen(pem: Pem | null): Server<undefined> {
    const { hostname, maxRequestBodySize, fetch, error } = options;
    const common = {
      hostname,
      port,
      idleTimeout: options.idleTimeoutSeconds,
      maxRequestBodySize,
      fetch,
      error,
    };
    return pem === null
      ? // Said outright: with `development: false` Bun shares the port unless told not to.
        Bun.serve({ ...common, development: false, reusePort: false })
      : Bun.serve({ ...common, development: false, tls: { ...pem }, http2: true, reusePort: true });
  }

  let served = checkCertificate(tls);
  let server = listenFirst();
  port = server.port ?? port;

  /** A port that another program has is refused, though a certificate's change needs it to be shareable. */
  function listenFirst(): Server<undefined> {
    const { hostname } = options;
    try {
      if (served !== null && port !== 0) {
        void Bun.serve({ hostname, port, development: false, reusePort: false, fetch: options.fetch }).stop(true);
      }
      return listen(served);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      if (code === "EADDRINUSE") throw new ConfigError(`PORT=${port}: another program has it; allowed is a free port`);
      if (code === "EACCES") throw new ConfigError(`PORT=${port}: allowed is a port that this user may listen on`);
      if (code === "EADDRNOTAVAIL" || code === "EINVAL") {
        throw new ConfigError(`HOST=${hostname}: allowed is an address of this machine`);
      }
      throw error;
    }
  }

  function reload(): void {
    if (tls === null) return;
    const next = readPem(tls);
    if (!next.ok) {
      deps.log("error", "TLS: the new certificate cannot be used; the old one stays in use", { reason: next.reason });
      return;
    }
    if (next.pem.cert === served?.cert && next.pem.key === served.key) return;
    served = next.pem;
    const before = server;
    server = listen(served);
    old.add(before);
    void before.stop(false).then(() => old.delete(before));
    deps.log("info", "TLS: a new certificate is in use", { expires: new X509Certificate(served.cert).validTo });
  }

  const watched = tls === null ? null : watchFiles([tls.certFile, tls.keyFile], reload);
  return {
    url: server.url,
    addressOf: (request) => server.requestIP(request)?.address ?? "",
    timeout: (request, seconds) => server.timeout(request, seconds),
    reload,
    async stop() {
      watched?.stop();
      await Promise.all([server, ...old].map((each) => each.stop(true)));
    },
  };
}

/** What the files hold; throws `ConfigError` when it cannot be used. Null without TLS. */
export function checkCertificate(tls: ListenerOptions["tls"]): Pem | null {
  if (tls === null) return null;
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
