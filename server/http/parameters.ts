import { errorResponse } from "./errors.ts";

/**
 * For routes that read their query themselves: refuses, by name, a parameter that the route does not have. Who mistyped one must
 * not believe that it did something.
 */
export function refuseParametersBut(known: readonly string[]) {
  const has = known.length === 0 ? "has none" : `has ${known.join(", ")}`;
  return ({ request: { url } }: { readonly request: Request }): Response | undefined => {
    const at = url.indexOf("?");
    if (at === -1) return undefined;
    for (const name of new URLSearchParams(url.slice(at + 1)).keys()) {
      if (known.includes(name)) continue;
      return errorResponse("invalid_parameter", `${name.slice(0, 64)}: not a parameter of this route, which ${has}`);
    }
    return undefined;
  };
}
