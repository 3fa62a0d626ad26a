import { Elysia } from "elysia";
import type { Ingest } from "../ingest.ts";
import { logsSignal, metricsSignal } from "./messages.ts";
import { createOtlpFormat, type OtlpOptions } from "./otlp-format.ts";

const unparsed = { parse: "none" } as const;

/** The routes of OTLP over HTTP. Their handlers read the body themselves. */
export function createOtlpRoutes(ingest: Pick<Ingest, "handlerOf" | "dropExemplars">, options: OtlpOptions) {
  const deps = { onExemplarsDropped: (count: number) => ingest.dropExemplars(count) };
  const metrics = ingest.handlerOf(createOtlpFormat(deps, metricsSignal, options));
  const logs = ingest.handlerOf(createOtlpFormat(deps, logsSignal, options));
  return new Elysia({ name: "otlp" })
    .post("/v1/metrics", ({ request }) => metrics(request), unparsed)
    .post("/v1/logs", ({ request }) => logs(request), unparsed);
}
