import { existsSync } from "node:fs";
import { join } from "node:path";
import { staticPlugin } from "@elysiajs/static";
import { type AnyElysia, Elysia } from "elysia";
import type { Log } from "../base/log.ts";
import type { Access } from "./access/access.ts";
import { errorResponse, internalError } from "./http/errors.ts";
import { requestIdOf } from "./http/request-id.ts";

export interface AppDeps {
  /** One Elysia instance a controller. Nobody gets to these without being a viewer. */
  readonly controllers: readonly AnyElysia[];
  /** As `controllers`; and whatever changes something (not GET, not HEAD) needs an editor. */
  readonly editingControllers: readonly AnyElysia[];
  /** Those that need no viewer: ingestion, which has keys of its own; health; sign-in. */
  readonly publicControllers: readonly AnyElysia[];
  readonly access: Pick<Access, "viewer" | "editor">;
  /** `client/dist`; without it (not built) the dashboard's paths say so. */
  readonly clientDirectory: string;
  readonly log: Log;
}

/** Vite names these files by their content. */
const oneYearSeconds = 31_536_000;

/** Every route of the service. Testable without a port: `app.handle(request)`. */
export async function createApp(deps: AppDeps) {
  const { clientDirectory } = deps;
  const app = new Elysia({ precompile: true }).onError(({ code, error, request }) => {
    if (code === "NOT_FOUND") return errorResponse("not_found", "there is nothing here");
    if (code === "PARSE") return errorResponse("malformed_json", "the body is not JSON");
    if (code === "VALIDATION") return errorResponse("malformed_request", "the request is not what this route takes");
    deps.log("error", "a request failed", {
      method: request.method,
      path: new URL(request.url).pathname,
      request_id: requestIdOf(request),
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    return internalError();
  });
  for (const controller of deps.publicControllers) app.use(controller);
  refuseOtherMethods(app);
  const guarded = new Elysia({ name: "guarded" }).onBeforeHandle(({ request }) => {
    const viewer = deps.access.viewer(request);
    return viewer instanceof Response ? viewer : undefined;
  });
  for (const controller of deps.controllers) guarded.use(controller);
  const editing = new Elysia({ name: "editing" }).onBeforeHandle(({ request }) => {
    const isReading = request.method === "GET" || request.method === "HEAD";
    const caller = isReading ? deps.access.viewer(request) : deps.access.editor(request);
    return caller instanceof Response ? caller : undefined;
  });
  for (const controller of deps.editingControllers) editing.use(controller);
  guarded.use(editing);
  refuseOtherMethods(guarded);
  const noSuchRoute = (): Response => errorResponse("not_found", "there is no such API route");
  // GET by name, too: the page's own GET of everything would come before a route of all methods.
  app.use(guarded.get("/api/*", noSuchRoute).all("/api/*", noSuchRoute));

  // Whatever else there is, or is not, is a page or a file.
  app.all("/*", () => methodNotAllowed(["GET"]));
  const page = join(clientDirectory, "index.html");
  if (!existsSync(page)) {
    return app.get("/*", () => errorResponse("not_found", "the dashboard is not built: npm run build"));
  }
  return (
    app
      .use(
        await staticPlugin({
          assets: join(clientDirectory, "assets"),
          prefix: "/assets",
          alwaysStatic: true,
          directive: "immutable",
          maxAge: oneYearSeconds,
        }),
      )
      .use(
        await staticPlugin({
          assets: clientDirectory,
          prefix: "/",
          alwaysStatic: true,
          ignorePatterns: [/\/assets\//, /\.html$/],
          directive: "no-cache",
          maxAge: null,
        }),
      )
      // A chunk of an older build: with the page in its place a browser would take HTML for a script.
      .get("/assets/*", () => errorResponse("not_found", "there is no such file"))
      .get("/*", () => new Response(Bun.file(page), { headers: { "Cache-Control": "no-cache" } }))
  );
}

/** A route that is there, asked by a method that it does not know, is no missing route. */
function refuseOtherMethods(app: AnyElysia): void {
  const routes = Map.groupBy(app.routes, ({ path }) => path);
  for (const [path, known] of routes) app.all(path, () => methodNotAllowed(known.map(({ method }) => method)));
}

/** HEAD is what GET is: see http/head.ts. */
function methodNotAllowed(methods: readonly string[]): Response {
  const all = methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  const allowed = [...new Set(all)].join(", ");
  return errorResponse(
    "method_not_allowed",
    `the method must be ${allowed.replace(/, ([^,]*)$/, " or $1")}`,
    undefined,
    { Allow: allowed },
  );
}

/** The app's type, for typed clients. @public */
export type App = Awaited<ReturnType<typeof createApp>>;
