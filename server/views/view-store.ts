import type { View, ViewBody, ViewLink } from "../../contract/views.ts";
import type { RoomMigrations, Store } from "../store/store.ts";
import { createLinkToken } from "./link-token.ts";

export const viewMigrations: RoomMigrations = {
  room: "views",
  steps: [
    `
    CREATE TABLE saved_views (
      id TEXT PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL, pinned INTEGER NOT NULL, requests TEXT NOT NULL,
      created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, created_by TEXT NOT NULL
    ) STRICT;
    CREATE TABLE view_links (
      id TEXT PRIMARY KEY, view_id TEXT NOT NULL REFERENCES saved_views (id) ON DELETE CASCADE,
      created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, created_by TEXT NOT NULL
    ) STRICT;
    CREATE INDEX view_links_of_view ON view_links (view_id);
    CREATE TABLE view_secret (secret BLOB NOT NULL) STRICT;
    INSERT INTO view_secret VALUES (randomblob(32));`,
  ],
};

const viewsMax = 1_000;
/** Of one view, those that have expired left out. */
const linksMax = 50;

interface ViewRow {
  id: string;
  name: string;
  path: string;
  pinned: number;
  requests: string;
  created_ms: number;
  updated_ms: number;
  created_by: string;
}

interface LinkRow {
  id: string;
  view_id: string;
  created_ms: number;
  expires_ms: number;
}

export interface SharedLink {
  readonly id: string;
  readonly expiresMs: number;
  readonly view: View;
}

/** Saved views and the links to them, in the service's own database. */
export interface ViewStore {
  /** `withLinks`: a link is a key, and only those who may make one see it. */
  list(withLinks: boolean): View[];
  find(id: string, withLinks: boolean): View | null;
  /** Null: there are as many as there may be. */
  create(body: ViewBody, by: string): View | null;
  replace(id: string, body: ViewBody): View | null;
  remove(id: string): boolean;
  createLink(viewId: string, lifetimeMs: number, by: string): ViewLink | "no_view" | "full";
  /** Ids of the links that there are no more. */
  removeLink(id: string): boolean;
  linksOf(viewId: string): string[];
  /** The link is there and has not expired. */
  findLink(id: string): SharedLink | null;
  /** What tokens are signed with: of this installation, never read by anybody. */
  readonly secret: Uint8Array;
}

export function createViewStore(deps: { readonly store: Store; readonly now: () => number }): ViewStore {
  const { store, now } = deps;
  const { database } = store;
  const stored = database.query<{ secret: Uint8Array }, []>("SELECT secret FROM view_secret").get();
  if (stored === null) throw new Error("the views have no secret");
  const { secret } = stored;

  const iso = (ms: number): string => new Date(ms).toISOString();
  const createLinkView = (row: LinkRow): ViewLink => ({
    id: row.id,
    url: `/shared/${createLinkToken({ id: row.id, expiresMs: row.expires_ms }, secret)}`,
    created_at: iso(row.created_ms),
    expires_at: iso(row.expires_ms),
  });
  const linkRows = (viewId: string): LinkRow[] =>
    database
      .query<LinkRow, [string, number]>(
        "SELECT * FROM view_links WHERE view_id = ? AND expires_ms > ? ORDER BY created_ms DESC, id",
      )
      .all(viewId, now());
  const createView = (row: ViewRow, withLinks: boolean): View => ({
    id: row.id,
    name: row.name,
    path: row.path,
    pinned: row.pinned === 1,
    // Written by this store, checked before it was.
    requests: JSON.parse(row.requests) as string[],
    created_at: iso(row.created_ms),
    updated_at: iso(row.updated_ms),
    created_by: row.created_by,
    links: withLinks ? linkRows(row.id).map(createLinkView) : [],
  });
  const rowOf = (id: string): ViewRow | null =>
    database.query<ViewRow, [string]>("SELECT * FROM saved_views WHERE id = ?").get(id);
  const count = (): number => database.query<{ n: number }, []>("SELECT count(*) AS n FROM saved_views").get()?.n ?? 0;

  const views: ViewStore = {
    secret,
    list: (withLinks) =>
      database
        .query<ViewRow, []>("SELECT * FROM saved_views ORDER BY pinned DESC, name COLLATE NOCASE, id")
        .all()
        .map((row) => createView(row, withLinks)),
    find(id, withLinks) {
      const row = rowOf(id);
      return row === null ? null : createView(row, withLinks);
    },
    create: (body, by) =>
      store.transaction(() => {
        if (count() >= viewsMax) return null;
        const id = crypto.randomUUID();
        const atMs = now();
        database
          .query("INSERT INTO saved_views VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
          .run(id, body.name, body.path, body.pinned ? 1 : 0, JSON.stringify(body.requests ?? []), atMs, atMs, by);
        return views.find(id, true);
      }),
    replace: (id, body) =>
      store.transaction(() => {
        database
          .query("UPDATE saved_views SET name = ?, path = ?, pinned = ?, requests = ?, updated_ms = ? WHERE id = ?")
          .run(body.name, body.path, body.pinned ? 1 : 0, JSON.stringify(body.requests ?? []), now(), id);
        return views.find(id, true);
      }),
    remove: (id) =>
      store.transaction(() => {
        database.query("DELETE FROM view_links WHERE view_id = ?").run(id);
        return database.query("DELETE FROM saved_views WHERE id = ?").run(id).changes > 0;
      }),
    createLink: (viewId, lifetimeMs, by) =>
      store.transaction(() => {
        if (rowOf(viewId) === null) return "no_view";
        database.query("DELETE FROM view_links WHERE expires_ms <= ?").run(now());
        if (linkRows(viewId).length >= linksMax) return "full";
        const row = { id: crypto.randomUUID(), view_id: viewId, created_ms: now(), expires_ms: now() + lifetimeMs };
        database
          .query("INSERT INTO view_links VALUES (?, ?, ?, ?, ?)")
          .run(row.id, row.view_id, row.created_ms, row.expires_ms, by);
        return createLinkView(row);
      }),
    removeLink: (id) => database.query("DELETE FROM view_links WHERE id = ?").run(id).changes > 0,
    linksOf: (viewId) => linkRows(viewId).map((row) => row.id),
    findLink(id) {
      const row = database.query<LinkRow, [string]>("SELECT * FROM view_links WHERE id = ?").get(id);
      if (row === null || row.expires_ms <= now()) return null;
      const view = views.find(row.view_id, false);
      return view === null ? null : { id: row.id, expiresMs: row.expires_ms, view };
    },
  };
  return views;
}
