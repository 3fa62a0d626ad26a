import type { LinkBody, SharedView, View, ViewBody, Views } from "../../contract/views.ts";

export interface FixtureViews {
  handle(request: Request, url: URL): Promise<Response | undefined>;
  /** The path below a link that has not been revoked; undefined: there is no such link. */
  below(url: URL): { path: string; view: View } | undefined;
}

const weekMs = 7 * 86_400_000;

/** Saved views and their links, kept in memory. */
export function createFixtureViews(): FixtureViews {
  const views: View[] = [];
  let ids = 0;
  const now = (): string => new Date().toISOString();
  const create = (body: ViewBody): View => ({
    id: `view-${++ids}`,
    pinned: false,
    requests: [],
    ...body,
    created_at: now(),
    updated_at: now(),
    created_by: "",
    links: [],
  });
  const addLink = (view: View, _: LinkBody): void => {
    const id = `link-${++ids}`;
    const expires_at = new Date(Date.now() + weekMs).toISOString();
    view.links.push({ id, url: `/shared/${id}`, created_at: now(), expires_at });
  };
  return {
    below(url) {
      const [, token, path] = /^\/shared\/([^/]+)(\/.*)?$/.exec(url.pathname) ?? [];
      const view = views.find(({ links }) => links.some(({ id }) => id === token));
      return view && { path: path ?? "", view };
    },
    async handle(request, url) {
      const [, kind, id, under] = /^\/api\/(views|links)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
      if (kind === undefined) return undefined;
      if (kind === "links") {
        for (const view of views) view.links = view.links.filter((link) => link.id !== id);
        return new Response(null, { status: 204 });
      }
      if (request.method === "GET") return Response.json({ views } satisfies Views);
      const at = views.findIndex((view) => view.id === id);
      const view = views[at];
      if (request.method === "DELETE") {
        views.splice(at, 1);
        return new Response(null, { status: 204 });
      }
      const body: unknown = await request.json();
      if (under === "links" && view) {
        addLink(view, body as LinkBody);
        return Response.json(view.links.at(-1), { status: 201 });
      }
      if (view) views[at] = { ...view, ...(body as ViewBody) };
      else views.push(create(body as ViewBody));
      return Response.json(view ? views[at] : views.at(-1), { status: view ? 200 : 201 });
    },
  };
}

export function sharedView(view: View): SharedView {
  const expires_at = view.links[0]?.expires_at ?? "";
  return { name: view.name, path: view.path, requests: view.requests, expires_at };
}
