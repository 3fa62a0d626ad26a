import type { Log } from "../../base/log.ts";
import type { Handler } from "./handler.ts";
import { pathOf } from "./head.ts";
import { requestIdOf } from "./request-id.ts";
import { type RequestFigures, routeNameOf } from "./request-metrics.ts";

export interface ObservedDeps {
  readonly log: Log;
  readonly requests: RequestFigures;
  readonly monotonicNow: () => number;
  /** Every request is logged, not only what failed. */
  readonly logsRequests: boolean;
}

const loggedPathMaxLength = 256;

/** A token in a path is a key. */
const loggedPath = (path: string): string =>
  path.replace(/^\/shared\/[^/]+/, "/shared/…").slice(0, loggedPathMaxLength);

/** Counts and times every request, and logs what failed, or all at level `debug`. Never a query or a header. */
export function observed(
  deps: ObservedDeps,
  handle: (request: Request, path: string) => Response | Promise<Response>,
): Handler {
  const { log, requests, monotonicNow } = deps;
  return async (request) => {
    const startedMs = monotonicNow();
    const path = pathOf(request.url);
    const response = await handle(request, path);
    const durationMs = monotonicNow() - startedMs;
    requests.record(routeNameOf(path), response.status, durationMs);
    const failed = response.status >= 500;
    if (!failed && !deps.logsRequests) return response;
    const id = requestIdOf(request);
    if (failed) response.headers.set("X-Request-Id", id);
    log(failed ? "warn" : "debug", "request", {
      method: request.method,
      path: loggedPath(path),
      status: response.status,
      duration_ms: Math.round(durationMs),
      request_id: id,
    });
    return response;
  };
}
