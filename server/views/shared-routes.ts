import { existsSync } from "node:fs";
import { Elysia } from "elysia";
import type { SharedView } from "../../contract/views.ts";
import { errorResponse } from "../http/errors.ts";
import type { StreamHub } from "../stream/hub.ts";
import { readLinkToken } from "./link-token.ts";
import { isShared } from "./shared-request.ts";
import type { SharedLink, ViewStore } from "./view-store.ts";

export interface SharedRoutesDeps {
  readonly views: ViewStore;
  readonly now: () => number;
  /** Answers a reading route, for somebody who may read. */
  readonly read: (request: Request) => Promise<Response>;
  readonly hub: Pick<StreamHub, "handle">;
  readonly timeout: (request: Request, seconds: number) => void;
  /** The dashboard's page. */
  readonly page: string;
}

/**
 * As the dashboard's own, but that any page may embed it. There is nothing to be tricked into: no cookie counts here, and nothing
 * can be changed.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors *",
].join("; ");

/** Of streams that came through a link, in the hub. */
export const viewerOfLink = (linkId: string): string => `link ${linkId}`;

/**
 * GET /shared/TOKEN: one view for whoever has the link, until it expires or is revoked. The token is all that counts; what can
 * be asked for below it is what the view's `requests` name.
 */
export function createSharedRoutes(deps: SharedRoutesDeps) {
  const { views } = deps;

  function linkOf(token: string): SharedLink | null {
    const claim = readLinkToken(token, views.secret, deps.now());
    return claim === null ? null : views.findLink(claim.id);
  }
  // The same for a link that never was and one that is no more.
  const noLink = (): Response => errorResponse("not_found", "this link does not exist, has expired, or was revoked");

  function pathBelow(request: Request, token: string): string {
    const { pathname, search } = new URL(request.url);
    return pathname.slice(`/shared/${token}`.length) + search;
  }

  return new Elysia({ name: "shared" })
    .get("/shared/:token", ({ params }) => {
      if (linkOf(params.token) === null) return noLink();
      if (!existsSync(deps.page)) return errorResponse("not_found", "the dashboard is not built: npm run build");
      return new Response(Bun.file(deps.page), {
        headers: {
          "Content-Type": "text/html; charset=utf-8",
          "Content-Security-Policy": contentSecurityPolicy,
          "Cache-Control": "no-store",
          "X-Robots-Tag": "noindex",
        },
      });
    })
    .get("/shared/:token/view", ({ params }) => {
      const link = linkOf(params.token);
      if (link === null) return noLink();
      const { name, path, requests } = link.view;
      const body: SharedView = { name, path, requests, expires_at: new Date(link.expiresMs).toISOString() };
      return Response.json(body, { headers: { "Cache-Control": "no-store" } });
    })
    .get("/shared/:token/dashboard-stream", ({ request, params }) => {
      const link = linkOf(params.token);
      if (link === null) return noLink();
      const asked = pathBelow(request, params.token);
      if (!isShared(asked, link.view.requests)) return notShared();
      return deps.hub.handle(request, { timeout: deps.timeout }, viewerOfLink(link.id), {
        updatesOnly: true,
        untilMs: link.expiresMs,
      });
    })
    .get("/shared/:token/api/*", ({ request, params }) => {
      const link = linkOf(params.token);
      if (link === null) return noLink();
      const asked = pathBelow(request, params.token);
      if (!isShared(asked, link.view.requests)) return notShared();
      return deps.read(new Request(new URL(asked, request.url), { signal: request.signal }));
    });
}

const notShared = (): Response => errorResponse("forbidden", "this is not part of the view that was shared");
