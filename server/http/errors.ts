import { type ErrorAnswer, type ErrorCode, errorStatus } from "../../contract/error.ts";

/** Seconds after which a refused client should try again, where the refusal is expected to pass. */
const retryAfterSeconds = "1";

/** An answer in the one shape that every error has, on every route. 503 always carries `Retry-After`. */
export function errorResponse(
  code: ErrorCode,
  message: string,
  extra?: Omit<ErrorAnswer["error"], "code" | "message">,
  headers?: Record<string, string>,
): Response {
  const status = errorStatus[code];
  const answer: ErrorAnswer = { error: { code, message, ...extra } };
  return Response.json(answer, {
    status,
    headers: { ...(status === 503 ? { "Retry-After": retryAfterSeconds } : {}), ...headers },
  });
}

/** A bug of ours. The response carries the request's id, and the log has the error under it. */
export const internalError = (): Response =>
  errorResponse("internal", "Internal error. Quote X-Request-Id when you report it.");
