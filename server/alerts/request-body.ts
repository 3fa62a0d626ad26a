import { errorResponse } from "../http/errors.ts";
import type { BodyFault, Checked } from "./rule-check.ts";

const bodyMaxBytes = 256 * 1024;

/** The JSON of a request, checked; or the response that says what is wrong with it. */
export async function readBody<T>(request: Request, check: (value: unknown) => Checked<T>): Promise<T | Response> {
  // A page of another site can have a form sent here, but not as JSON.
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? ""))
    return errorResponse("unsupported_media_type", "Content-Type must be application/json");
  if (Number(request.headers.get("content-length") ?? 0) > bodyMaxBytes)
    return errorResponse("body_too_large", `the body must be at most ${bodyMaxBytes} bytes`);
  const text = await request.text();
  if (text.length > bodyMaxBytes)
    return errorResponse("body_too_large", `the body must be at most ${bodyMaxBytes} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return errorResponse("malformed_json", "the body is not JSON");
    throw error;
  }
  const checked = check(value);
  return checked.ok ? checked.value : faultsResponse(checked.faults);
}

export function faultsResponse(faults: readonly BodyFault[]): Response {
  const details = faults.map(({ path, message }) => ({ index: 0, path, message }));
  return errorResponse("invalid_body", faultText(faults), { details, total: faults.length });
}

export function faultText(faults: readonly BodyFault[]): string {
  const [first] = faults;
  const name = first?.path.slice(1).replaceAll("/", ".") ?? "";
  const more = faults.length > 1 ? `, and ${faults.length - 1} more` : "";
  return `${name === "" ? "the body" : name} ${first?.message ?? "is wrong"}${more}`;
}
