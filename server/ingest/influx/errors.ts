import { type ErrorCode, errorStatus } from "../../../contract/error.ts";
import type { Refusal } from "../../http/refusal.ts";

/** InfluxDB's words for what clients tell apart; anything else is `invalid`. */
const influxCodes: Partial<Record<ErrorCode, string>> = {
  unauthenticated: "unauthorized",
  forbidden: "forbidden",
  not_found: "not found",
  method_not_allowed: "method not allowed",
  body_too_large: "request too large",
  too_many_events: "request too large",
  rate_limited: "too many requests",
  internal: "internal error",
};

/** Bad lines. `error` is what clients of InfluxDB 1.x read, and Telegraf decides by its words whether to try again. */
export function lineError(message: string): Response {
  return Response.json({ code: "invalid", message, error: message }, { status: 400 });
}

/** Any other refusal, in the words of InfluxDB 2 and, under `error`, in the one shape of this service. */
export function influxError({ code, message, extra, headers }: Refusal): Response {
  if (code === "invalid_events") return lineError(message);
  const status = errorStatus[code];
  const influxCode = influxCodes[code] ?? (status === 503 ? "unavailable" : "invalid");
  return Response.json(
    { code: influxCode, message, error: { code, message, ...extra } },
    { status, headers: { ...(status === 503 ? { "Retry-After": "1" } : {}), ...headers } },
  );
}
