import { Elysia } from "elysia";
import { errorResponse } from "../http/errors.ts";
import type { Ingest } from "./ingest.ts";

/** POST /ingest. The handler reads the body itself, within its limits; `takesEvents` is false with ROLE=writer. */
export function createIngestRoutes(deps: { readonly ingest: Pick<Ingest, "handle"> }, takesEvents: boolean) {
  const { ingest } = deps;
  const app = new Elysia({ name: "ingest" });
  if (takesEvents) return app.post("/ingest", ({ request }) => ingest.handle(request), { parse: "none" });
  return app.post("/ingest", () => errorResponse("not_found", "this instance takes no events (ROLE=writer)"), {
    parse: "none",
  });
}
