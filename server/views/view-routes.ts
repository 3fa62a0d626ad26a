import { Elysia } from "elysia";
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import type { Log } from "../../base/log.ts";
import { LinkBody, type View, ViewBody, type ViewLink, type Views } from "../../contract/views.ts";
import type { Access } from "../access/access.ts";
import { errorResponse } from "../http/errors.ts";
import { readJson } from "../http/json-body.ts";
import { requestFault } from "./shared-request.ts";
import type { ViewStore } from "./view-store.ts";

export interface ViewRoutesDeps {
  readonly views: ViewStore;
  readonly access: Pick<Access, "editor">;
  readonly log: Log;
  /** Links that lead nowhere any more: who still reads through one is sent away. */
  readonly onRevoked: (linkIds: readonly string[]) => void;
}

const bodyMaxBytes = 256 * 1024;
const lifetimeMaxMs = 366 * 86_400_000;
const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const noStore = { "Cache-Control": "no-store" };
const json = (body: View | Views | ViewLink, status = 200): Response =>
  Response.json(body, { status, headers: noStore });
const gone = (): Response => new Response(null, { status: 204, headers: noStore });
const noView = (): Response => errorResponse("not_found", "there is no such view");

const viewBody = Compile(ViewBody);
const linkBody = Compile(LinkBody);

/** GET POST PUT DELETE /api/views. Who may change them is decided before a request gets here. */
export function createViewRoutes(deps: ViewRoutesDeps) {
  const { views, access, log } = deps;

  const editorOf = (request: Request): string | null => {
    const editor = access.editor(request);
    return editor instanceof Response ? null : editor.name;
  };
  const audit = (request: Request, action: string, target: string): void =>
    log("info", "a saved view was changed", { by: editorOf(request) ?? "", action, target });

  async function body<T extends TSchema, B>(
    request: Request,
    check: { Check(value: unknown): value is B; Errors(value: unknown): { instancePath: string; message: string }[] },
    _schema?: T,
  ): Promise<B | Response> {
    const read = await readJson(request, bodyMaxBytes);
    if (!read.ok) return errorResponse(read.code, read.message);
    if (check.Check(read.value)) return read.value;
    const [fault] = check.Errors(read.value);
    return errorResponse(
      "invalid_body",
      `${fault?.instancePath.slice(1) || "the body"} ${fault?.message ?? "is wrong"}`,
    );
  }

  async function viewOf(request: Request): Promise<ViewBody | Response> {
    const given = await body<TSchema, ViewBody>(request, viewBody);
    if (given instanceof Response) return given;
    for (const [index, each] of (given.requests ?? []).entries()) {
      const fault = requestFault(each);
      if (fault !== null) return errorResponse("invalid_body", `requests/${index} ${fault}`);
    }
    return given;
  }

  return new Elysia({ name: "views" })
    .get("/api/views", ({ request }) => json({ views: views.list(editorOf(request) !== null) }))
    .post(
      "/api/views",
      async ({ request }) => {
        const given = await viewOf(request);
        if (given instanceof Response) return given;
        const view = views.create(given, editorOf(request) ?? "");
        if (view === null) return errorResponse("conflict", "there are as many views as there may be; delete some");
        audit(request, "created", view.id);
        return json(view, 201);
      },
      { parse: "none" },
    )
    .get("/api/views/:id", ({ request, params }) => {
      const view = views.find(params.id, editorOf(request) !== null);
      return view === null ? noView() : json(view);
    })
    .put(
      "/api/views/:id",
      async ({ request, params }) => {
        const given = await viewOf(request);
        if (given instanceof Response) return given;
        const view = views.replace(params.id, given);
        if (view === null) return noView();
        // Who reads through a link reads what the view is now.
        deps.onRevoked(views.linksOf(params.id));
        audit(request, "changed", params.id);
        return json(view);
      },
      { parse: "none" },
    )
    .delete("/api/views/:id", ({ request, params }) => {
      const links = views.linksOf(params.id);
      if (!views.remove(params.id)) return noView();
      deps.onRevoked(links);
      audit(request, "deleted", params.id);
      return gone();
    })
    .post(
      "/api/views/:id/links",
      async ({ request, params }) => {
        const given = await body<TSchema, LinkBody>(request, linkBody);
        if (given instanceof Response) return given;
        const unit = given.expires.at(-1) as keyof typeof unitMs;
        const lifetimeMs = Number(given.expires.slice(0, -1)) * unitMs[unit];
        if (lifetimeMs > lifetimeMaxMs) return errorResponse("invalid_body", "expires must be at most 366d");
        const link = views.createLink(params.id, lifetimeMs, editorOf(request) ?? "");
        if (link === "no_view") return noView();
        if (link === "full")
          return errorResponse("conflict", "this view has as many links as it may have; revoke some");
        audit(request, "linked", params.id);
        return json(link, 201);
      },
      { parse: "none" },
    )
    .delete("/api/links/:id", ({ request, params }) => {
      if (!views.removeLink(params.id)) return errorResponse("not_found", "there is no such link");
      deps.onRevoked([params.id]);
      audit(request, "revoked", params.id);
      return gone();
    });
}
