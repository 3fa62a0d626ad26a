import { asRequest, SocketRequest } from "../../base/http/socket-request.ts";
import type { Handler } from "./handler.ts";

/**
 * Answers HEAD as GET; the listener keeps the headers and leaves the body out. `ownPaths` have a route of their own for HEAD.
 */
export function withHead(ownPaths: ReadonlySet<string>, handle: Handler): Handler {
  return (request) => {
    if (request.method !== "HEAD" || ownPaths.has(pathOf(request.url))) return handle(request);
    return handle(asGet(request));
  };
}

function asGet(request: Request): Request {
  if (request instanceof SocketRequest) return asRequest(request.withMethod("GET"));
  return new Request(request, { method: "GET" });
}

/** The path of an absolute URL. Does not parse it, so it cannot fail: a Host header may be anything. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const query = url.indexOf("?", start);
  const fragment = url.indexOf("#", start);
  if (query === -1 && fragment === -1) return url.slice(start);
  return url.slice(start, query === -1 || (fragment !== -1 && fragment < query) ? fragment : query);
}
