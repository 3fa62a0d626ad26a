import { errorResponse } from "../../http/errors.ts";
import type { Ingest } from "../ingest.ts";
import { createLineFormat, type LineFormatOptions, lineRoutes } from "./line-format.ts";
import { createQueryFormat } from "./query-format.ts";

/** What clients look for before they speak line protocol; 1.8 is the last of the version that has all of these routes. */
const versionHeaders = { "X-Influxdb-Version": "1.8.10", "X-Influxdb-Build": "Sluice" };

type Handle = (request: Request) => Promise<Response>;

export interface InfluxDeps {
  readonly ingest: Pick<Ingest, "handlerOf">;
  /** Why nothing can be accepted now; empty when it can. */
  readonly refusing: () => readonly string[];
}

/** The routes of Influx line protocol, by path. */
export function createInfluxRoutes(deps: InfluxDeps, options: LineFormatOptions): Record<string, Handle> {
  const writes = lineRoutes.map((route): [string, Handle] => {
    const write = deps.ingest.handlerOf(createLineFormat(route, options), route.path);
    return [route.path, only(["POST"], write)];
  });
  const query = deps.ingest.handlerOf(createQueryFormat(), "/query");
  return {
    ...Object.fromEntries(writes),
    "/query": only(["GET", "POST"], query),
    "/ping": only(["GET", "HEAD"], async () => new Response(null, { status: 204, headers: versionHeaders })),
    "/health": only(["GET", "HEAD"], async () => health(deps.refusing())),
  };
}

function health(reasons: readonly string[]): Response {
  if (reasons.length === 0) return Response.json({ status: "pass" }, { headers: versionHeaders });
  const answer = { status: "fail", message: reasons.join("; ") };
  return Response.json(answer, { status: 503, headers: { ...versionHeaders, "Retry-After": "1" } });
}

function only(methods: readonly string[], handle: Handle): Handle {
  return async (request) =>
    methods.includes(request.method)
      ? handle(request)
      : errorResponse("method_not_allowed", `the method must be ${methods.join(" or ")}`, undefined, {
          Allow: methods.join(", "),
        });
}
