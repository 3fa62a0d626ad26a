import { Elysia } from "elysia";
import { errorResponse } from "../http/errors.ts";
import { refuseParametersBut } from "../http/parameters.ts";
import type { PipelineState } from "./pipeline.ts";

const noStore = { "Cache-Control": "no-store" };

/** GET /healthz: alive. GET /readyz: able to accept; 200 may still name what is degraded. No viewer is needed. */
export function createHealthRoutes(deps: { readonly pipeline: Pick<PipelineState, "readiness"> }) {
  return new Elysia({ name: "health" })
    .onBeforeHandle(refuseParametersBut([]))
    .get("/healthz", () => Response.json({ status: "ok" }, { headers: noStore }))
    .get("/readyz", () => {
      const { refusing, degraded } = deps.pipeline.readiness();
      if (refusing.length > 0) {
        return errorResponse("not_ready", refusing.join("; "), { reasons: [...refusing, ...degraded] }, noStore);
      }
      return Response.json({ status: "ready", degraded }, { headers: noStore });
    });
}

/** GET /api/pipeline: what the operator needs at three in the morning. */
export function createPipelineRoutes(deps: { readonly pipeline: Pick<PipelineState, "detail"> }) {
  return new Elysia({ name: "pipeline" })
    .onBeforeHandle(refuseParametersBut([]))
    .get("/api/pipeline", async () => Response.json(await deps.pipeline.detail(), { headers: noStore }));
}
