import { isLonger, limits } from "../../contract/limits.ts";
import { errorResponse } from "../http/errors.ts";

/** What a stream is to carry, or what is wrong with the parameters that say so. */
export function parseStreamParameters(
  query: URLSearchParams,
): { readonly limit: number; readonly deviceId: string | null } | Response {
  const unknown = [...query.keys()].find((name) => name !== "limit" && name !== "device");
  if (unknown !== undefined) {
    const known = "not a parameter of this route, which has limit, device";
    return errorResponse("invalid_parameter", `${unknown.slice(0, 64)}: ${known}`);
  }
  const limit = parseLimit(query.get("limit"));
  if (limit === null) return errorResponse("invalid_parameter", `limit must be between 1 and ${limits.streamTypesMax}`);
  const deviceId = query.get("device");
  if (deviceId !== null && (deviceId === "" || isLonger(deviceId, limits.deviceIdCharacters))) {
    return errorResponse("invalid_parameter", `device must have 1 to ${limits.deviceIdCharacters} characters`);
  }
  return { limit, deviceId };
}

function parseLimit(text: string | null): number | null {
  if (text === null) return limits.streamTypesDefault;
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= limits.streamTypesMax ? limit : null;
}
