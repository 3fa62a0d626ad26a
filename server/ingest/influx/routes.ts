import { Elysia } from "elysia";
import type { Ingest } from "../ingest.ts";
import { createLineFormat, type LineFormatOptions, lineRoutes } from "./line-format.ts";
import { createQueryFormat } from "./query-format.ts";

/** What clients look for before they speak line protocol; 1.8 is the last of the version that has all of these routes. */
const versionHeaders = { "X-Influxdb-Version": "1.8.10", "X-Influxdb-Build": "Sluice" };

/** What QuestDB's clients ask: of the versions of its own dialect, the first is line protocol as everybody has it. */
const questDbSettings = { config: { "line.proto.support.versions": [1] } };

const unparsed = { parse: "none" } as const;

export interface InfluxDeps {
  readonly ingest: Pick<Ingest, "handlerOf">;
  /** Why nothing can be accepted now; empty when it can. */
  readonly refusing: () => readonly string[];
}

/** The routes of Influx line protocol. Their handlers read the body themselves. */
export function createInfluxRoutes(deps: InfluxDeps, options: LineFormatOptions) {
  const app = new Elysia({ name: "influx" });
  for (const route of lineRoutes) {
    const write = deps.ingest.handlerOf(createLineFormat(route, options));
    app.post(route.path, ({ request }) => write(request), unparsed);
  }
  const query = deps.ingest.handlerOf(createQueryFormat());
  const ping = (): Response => new Response(null, { status: 204, headers: versionHeaders });
  const tellHealth = (): Response => health(deps.refusing());
  return app
    .get("/query", ({ request }) => query(request))
    .post("/query", ({ request }) => query(request), unparsed)
    .get("/ping", ping)
    .head("/ping", ping)
    .get("/settings", () => Response.json(questDbSettings))
    .get("/health", tellHealth)
    .head("/health", tellHealth);
}

function health(reasons: readonly string[]): Response {
  if (reasons.length === 0) return Response.json({ status: "pass" }, { headers: versionHeaders });
  const answer = { status: "fail", message: reasons.join("; ") };
  return Response.json(answer, { status: 503, headers: { ...versionHeaders, "Retry-After": "1" } });
}
