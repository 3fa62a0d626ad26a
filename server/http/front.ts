import type { AnyElysia } from "elysia";
import type { Log } from "../../base/log.ts";
import type { Web } from "../access/web.ts";
import { compressed } from "./compression.ts";
import { errorResponse } from "./errors.ts";
import type { Handler } from "./handler.ts";
import { withHead } from "./head.ts";
import { observed } from "./observed-route.ts";
import type { RequestFigures } from "./request-metrics.ts";
import { revalidated } from "./revalidation.ts";

export interface FrontDeps {
  readonly app: Pick<AnyElysia, "fetch" | "routes">;
  /** Paths that devices post JSON to. */
  readonly devicePaths: ReadonlySet<string>;
  /** Paths of other protocols. What is in neither is for browsers and programs that read. */
  readonly protocolPaths: ReadonlySet<string>;
  readonly web: Web;
  readonly log: Log;
  readonly requests: RequestFigures;
  readonly monotonicNow: () => number;
  /** Every request is logged, not only what failed. */
  readonly logsRequests: boolean;
}

/**
 * What is done around the Elysia app for every request, whichever listener it comes from: the rules of the web, HEAD, 304,
 * compression, figures, the request's id. Posts of devices have rules of their own and are otherwise answered as they are: their
 * answers are short, and no browser shows them.
 */
export function createFront(deps: FrontDeps): Handler {
  const { app, devicePaths, protocolPaths, web } = deps;
  const headPaths = new Set(app.routes.filter(({ method }) => method === "HEAD").map(({ path }) => path));
  const route: Handler = (request) => app.fetch(withRoutableUrl(request));
  const forDevices = web.deviceRoutes(route);
  const forProtocols = web.protocolRoutes(route);
  const forReaders = web.readerRoutes(
    withHead(headPaths, async (request) => compressed(request, revalidated(request, await route(request)))),
  );
  return observed(deps, (request, path) => {
    // A Host header that no URL can be made with; Bun then gives the path alone.
    if (request.url.startsWith("/")) return errorResponse("malformed_request", "the Host header cannot be read");
    if (devicePaths.has(path)) return forDevices(request);
    return protocolPaths.has(path) ? forProtocols(request) : forReaders(request);
  });
}

/** Where Elysia begins to look for the path of a URL. Its other mode (`standardHostname: false`) fails with `https:`. */
const pathSearchedFrom = 11;

/** A Host of three letters or fewer would have Elysia take the wrong slash for the path's. */
function withRoutableUrl(request: Request): Request {
  const { url } = request;
  const pathStart = url.indexOf("/", url.indexOf("://") + 3);
  return pathStart >= pathSearchedFrom ? request : new Request(`http://localhost${url.slice(pathStart)}`, request);
}
