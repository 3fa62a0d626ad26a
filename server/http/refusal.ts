import type { ErrorAnswer, ErrorCode } from "../../contract/error.ts";
import { errorResponse } from "./errors.ts";

/** Why a request is refused, as a value: whoever answers decides in which shape the client reads it. */
export class Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly extra: Omit<ErrorAnswer["error"], "code" | "message">;
  readonly headers: Record<string, string>;
  /** How many events are refused with it, where they were counted. */
  readonly events: number;

  constructor(
    code: ErrorCode,
    message: string,
    extra: Omit<ErrorAnswer["error"], "code" | "message"> = {},
    headers: Record<string, string> = {},
    events = 0,
  ) {
    this.code = code;
    this.message = message;
    this.extra = extra;
    this.headers = headers;
    this.events = events;
  }
}

/** A refusal in the one error shape of Sluice's own routes. */
export function refusalResponse({ code, message, extra, headers }: Refusal): Response {
  return errorResponse(code, message, extra, headers);
}
