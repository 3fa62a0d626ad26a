import type { ErrorCode } from "../../contract/error.ts";
import { errorResponse } from "../http/errors.ts";

/** A request that gets an error answer. Its message is for the person who asked: no SQL, no path, no stack. */
export class Refusal extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export const invalidParameter = (name: string, rule: string): Refusal =>
  new Refusal("invalid_parameter", `${name}: ${rule}`);

/**
 * A request may take several queries, each with its own limit. All of them together have to end before the listener
 * takes the connection for an idle one (a minute), which the client would see as a reset.
 */
const answerMaxMs = 45_000;

/** Aborts when the client goes, or when it has waited for too long. */
export const withDeadline = (gone: AbortSignal): AbortSignal =>
  AbortSignal.any([gone, AbortSignal.timeout(answerMaxMs)]);

export const isLate = ({ reason }: AbortSignal): boolean =>
  reason instanceof DOMException && reason.name === "TimeoutError";

/** Runs a handler; what it refuses becomes the answer, anything else is a bug and is thrown on. */
export async function answer(request: Request, handle: (signal: AbortSignal) => Promise<Response>): Promise<Response> {
  try {
    return await handle(withDeadline(request.signal));
  } catch (error) {
    if (error instanceof Refusal) return errorResponse(error.code, error.message);
    throw error;
  }
}

/** Figures that change by the second are nobody's to keep. */
export const noStore = { "Cache-Control": "no-store" } as const;

export const jsonAnswer = <T>(body: T): Response => Response.json(body, { headers: noStore });
