import { errorResponse } from "../http/errors.ts";

export interface WebOptions {
  /** Origins that may read the API from their pages. */
  readonly corsOrigins: readonly string[];
  /** The service is reached over TLS. */
  readonly secure: boolean;
  /** Nobody needs a key to read, and only this machine may connect: names that a stranger's DNS points here are refused. */
  readonly loopbackOnly: boolean;
  /** The same of writing. */
  readonly ingestLoopbackOnly: boolean;
}

type Handler = (request: Request) => Response | Promise<Response>;

/** What stands between the network and the routes. */
export interface Web {
  /** For what browsers read: refuses what another site had a browser send, answers preflights, adds the headers. */
  readerRoutes(handle: Handler): Handler;
  /**
   * For what devices post to. Another site's page cannot have a browser send JSON here without a preflight, which is for CORS_ORIGINS
   * to answer; a page whose own name points here by now (DNS rebinding) can, so without keys that is looked at. Costs nothing
   * where neither applies.
   */
  deviceRoutes(handle: Handler): Handler;
  /**
   * For the routes of other protocols, whose bodies a page can post without a preflight (line protocol is plain text): what another
   * site had a browser send is refused.
   */
  protocolRoutes(handle: Handler): Handler;
}

/**
 * No inline script, nothing from elsewhere. The hash is of the one style element that ApexCharts inserts, for a legend that is
 * switched off; uPlot needs none.
 */
export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'sha256-aSysLrDECVdJ6L+jLf8CC5QKLmwRuk/OZiZk9mYky8A='",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const always: readonly (readonly [string, string])[] = [
  ["X-Content-Type-Options", "nosniff"],
  ["X-Frame-Options", "DENY"],
  ["Referrer-Policy", "no-referrer"],
  ["Cross-Origin-Opener-Policy", "same-origin"],
  ["Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"],
];
const twoYears = "max-age=63072000";
const preflightSeconds = "600";
const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const loopbackNames = /^(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;
const loopbackRule = "without keys this service answers to the names of this machine only";

export function createWeb(options: WebOptions): Web {
  const origins = new Set(options.corsOrigins);

  function isForeign(request: Request): boolean {
    const site = request.headers.get("sec-fetch-site");
    if (site !== null) return site !== "same-origin" && site !== "none";
    const origin = request.headers.get("origin");
    if (origin === null) return false;
    return !URL.canParse(origin) || new URL(origin).host !== request.headers.get("host");
  }

  function allowOrigin(request: Request, response: Response): Response {
    const origin = request.headers.get("origin");
    response.headers.append("Vary", "Origin");
    if (origin === null || !origins.has(origin)) return response;
    response.headers.set("Access-Control-Allow-Origin", origin);
    response.headers.set(
      "Access-Control-Expose-Headers",
      "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset",
    );
    return response;
  }

  function preflight(request: Request, methods: string): Response {
    const origin = request.headers.get("origin");
    if (origin === null || !origins.has(origin))
      return errorResponse("forbidden", "this origin is not allowed (CORS_ORIGINS)");
    return new Response(null, {
      status: 204,
      headers: {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers":
          "Authorization, X-API-Key, Content-Type, Content-Encoding, Idempotency-Key, Last-Event-ID",
        "Access-Control-Max-Age": preflightSeconds,
        Vary: "Origin",
      },
    });
  }

  function intercept(request: Request): Response | undefined {
    // A Host header can be anything; what follows parses URLs.
    if (!URL.canParse(request.url)) return errorResponse("malformed_request", "the request's URL cannot be read");
    if (options.loopbackOnly && !loopbackNames.test(request.headers.get("host") ?? "")) {
      return errorResponse("forbidden", loopbackRule);
    }
    if (request.method === "OPTIONS" && request.headers.has("access-control-request-method")) {
      return preflight(request, "GET");
    }
    // Cookies are SameSite=Strict already; this holds where a browser does not know that, and for signing in.
    if (!safeMethods.has(request.method) && isForeign(request)) {
      return errorResponse("forbidden", "another site may not do this");
    }
    return undefined;
  }

  function harden(request: Request, response: Response): Response {
    const { headers } = response;
    for (const [name, value] of always) headers.set(name, value);
    // A page that others may embed says so itself.
    if (headers.get("Content-Security-Policy")?.includes("frame-ancestors *")) headers.delete("X-Frame-Options");
    if (!headers.has("Content-Security-Policy")) headers.set("Content-Security-Policy", contentSecurityPolicy);
    if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
    if (options.secure) headers.set("Strict-Transport-Security", twoYears);
    if (origins.size === 0) headers.set("Cross-Origin-Resource-Policy", "same-origin");
    else allowOrigin(request, response);
    return response;
  }

  /**
   * A browser says who posts; a device says nothing, and may call this machine by whatever name its proxy or hosts file has.
   */
  function isRebound({ headers }: Request): boolean {
    const isPage = headers.has("origin") || headers.has("sec-fetch-site");
    return isPage && !loopbackNames.test(headers.get("host") ?? "");
  }

  function deviceRoutes(handle: Handler): Handler {
    const guarded: typeof handle = options.ingestLoopbackOnly
      ? async (request) => (isRebound(request) ? errorResponse("forbidden", loopbackRule) : handle(request))
      : handle;
    if (origins.size === 0) return guarded;
    return async (request) =>
      request.method === "OPTIONS" ? preflight(request, "POST") : allowOrigin(request, await guarded(request));
  }

  return {
    readerRoutes(handle) {
      return async (request) => harden(request, intercept(request) ?? (await handle(request)));
    },
    deviceRoutes,
    protocolRoutes(handle) {
      return deviceRoutes(async (request) => {
        if (!URL.canParse(request.url)) return errorResponse("malformed_request", "the request's URL cannot be read");
        const isAllowed = origins.has(request.headers.get("origin") ?? "") || !isForeign(request);
        return isAllowed ? handle(request) : errorResponse("forbidden", "another site may not do this");
      });
    },
  };
}
