import type { Log } from "../../base/log.ts";
import type { Handler } from "./listener.ts";
import { requestIdOf } from "./request-id.ts";
import { type RequestFigures, routeNameOf } from "./request-metrics.ts";

/** Counts and times the requests to a handler, and logs each: at `debug`, what failed at `warn`. Never a query or a header. */
export function observeRoute(
  deps: { readonly log: Log; readonly requests: RequestFigures; readonly now: () => number },
  handle: Handler,
): Handler {
  return async (request, server) => {
    const startedMs = deps.now();
    const response = await handle(request, server);
    const durationMs = deps.now() - startedMs;
    const path = pathOf(request.url);
    deps.requests.record(routeNameOf(path), response.status, durationMs);
    const failed = response.status >= 500;
    if (failed) response.headers.set("X-Request-Id", requestIdOf(request));
    deps.log(failed ? "warn" : "debug", "request", {
      method: request.method,
      path,
      status: response.status,
      duration_ms: Math.round(durationMs),
      request_id: requestIdOf(request),
    });
    return response;
  };
}

/** The path of an absolute URL. Does not parse it, so it cannot fail: a Host header may be anything. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const end = url.search(/[?#]/);
  return start === -1 ? "/" : url.slice(start, end === -1 ? undefined : end).slice(0, 256);
}
