import { errorResponse } from "../http/errors.ts";
import { readJson } from "../http/json-body.ts";
import type { BodyFault, Checked } from "./rule-check.ts";

const bodyMaxBytes = 256 * 1024;

/** The JSON of a request, checked; or the response that says what is wrong with it. */
export async function readBody<T>(request: Request, check: (value: unknown) => Checked<T>): Promise<T | Response> {
  const body = await readJson(request, bodyMaxBytes);
  if (!body.ok) return errorResponse(body.code, body.message);
  const checked = check(body.value);
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
