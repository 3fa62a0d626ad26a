import { Elysia } from "elysia";
import type { Access } from "../access/access.ts";
import { refuseParametersBut } from "../http/parameters.ts";
import type { StreamHub } from "./hub.ts";

export interface StreamRoutesDeps {
  readonly hub: Pick<StreamHub, "handle">;
  readonly access: Pick<Access, "viewer">;
  /** The listener's: a stream may be idle for longer than a request. */
  readonly timeout: (request: Request, seconds: number) => void;
}

/** GET /dashboard-stream. HEAD is a route of its own: who asks for the headers only gets no stream. */
export function createStreamRoutes({ hub, access, timeout }: StreamRoutesDeps) {
  const handle = ({ request }: { readonly request: Request }): Response => {
    const viewer = access.viewer(request);
    return viewer instanceof Response ? viewer : hub.handle(request, { timeout }, viewer.name);
  };
  return new Elysia({ name: "stream" })
    .onBeforeHandle(refuseParametersBut(["limit", "device"]))
    .get("/dashboard-stream", handle)
    .head("/dashboard-stream", handle);
}
