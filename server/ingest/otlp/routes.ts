import { errorResponse } from "../../http/errors.ts";
import type { Ingest } from "../ingest.ts";
import { logsSignal, metricsSignal } from "./messages.ts";
import { createOtlpFormat, type OtlpOptions } from "./otlp-format.ts";

type Handle = (request: Request) => Promise<Response>;

/** The routes of OTLP over HTTP, by path. */
export function createOtlpRoutes(
  ingest: Pick<Ingest, "handlerOf" | "dropExemplars">,
  options: OtlpOptions,
): Record<string, Handle> {
  const deps = { onExemplarsDropped: (count: number) => ingest.dropExemplars(count) };
  const metrics = ingest.handlerOf(createOtlpFormat(deps, metricsSignal, options), "/v1/metrics");
  const logs = ingest.handlerOf(createOtlpFormat(deps, logsSignal, options), "/v1/logs");
  return { "/v1/metrics": onlyPost(metrics), "/v1/logs": onlyPost(logs) };
}

function onlyPost(handle: Handle): Handle {
  return async (request) =>
    request.method === "POST"
      ? handle(request)
      : errorResponse("method_not_allowed", "the method must be POST", undefined, { Allow: "POST" });
}
