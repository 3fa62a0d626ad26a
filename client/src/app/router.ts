import { makeEventListener } from "@solid-primitives/event-listener";
import { type Accessor, batch, createMemo, createSignal } from "solid-js";

export type Route =
  | { page: "live" }
  | { page: "devices" }
  | { page: "device"; id: string }
  | { page: "explore" }
  | { page: "pipeline" }
  | { page: "not_found"; path: string };

/** Never throws: a path that cannot be decoded is a page that is not there. */
export function parseRoute(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "");
  if (parts.length === 0) return { page: "live" };
  const [head, id] = parts;
  if (parts.length === 1 && (head === "devices" || head === "explore" || head === "pipeline")) return { page: head };
  if (parts.length === 2 && head === "devices" && id !== undefined) {
    try {
      return { page: "device", id: decodeURIComponent(id) };
    } catch (error) {
      if (!(error instanceof URIError)) throw error;
    }
  }
  return { page: "not_found", path };
}

export function devicePath(id: string): string {
  return `/devices/${encodeURIComponent(id)}`;
}

export type ParamChanges = Record<string, string | undefined>;

/** The query string with the changes applied; undefined removes. Order is stable, so that equal views have equal URLs. */
export function applyParams(search: string, changes: ParamChanges): string {
  const params = new URLSearchParams(search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") params.delete(name);
    else params.set(name, value);
  }
  params.sort();
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

/** What belongs to the viewer and not to the page follows them from page to page. */
const followed = ["wall", "tz", "theme"] as const;

export function followedSearch(search: string): string {
  const from = new URLSearchParams(search);
  return applyParams("", Object.fromEntries(followed.map((name) => [name, from.get(name) ?? undefined])));
}

export interface Router {
  route: Accessor<Route>;
  path: Accessor<string>;
  /** The value of a query parameter; `fallback` when it is absent. */
  param(name: string, fallback?: string): string;
  /** Changes the query of this page. `push` makes it a step for the back button; without, it replaces. */
  setParams(changes: ParamChanges, options?: { push?: boolean }): void;
  /** Goes to a page of this site. A path without a query takes along what follows the viewer. */
  go(href: string): void;
  /** The href a link should carry, so that "open in new tab" keeps theme, time zone and wall mode. */
  href(path: string): string;
}

/** One router for the page; must be called under a Solid owner. */
export function createRouter(): Router {
  const [path, setPath] = createSignal(location.pathname);
  const [search, setSearch] = createSignal(location.search);
  const params = createMemo(() => new URLSearchParams(search()));
  const route = createMemo(() => parseRoute(path()));

  const sync = (): void =>
    batch(() => {
      setPath(location.pathname);
      setSearch(location.search);
    });

  const go = (href: string): void => {
    const url = new URL(href, location.href);
    const query = url.search === "" ? followedSearch(location.search) : url.search;
    const changed = url.pathname !== location.pathname;
    if (changed || query !== location.search) history.pushState(null, "", url.pathname + query);
    sync();
    if (changed) scrollTo(0, 0);
  };

  makeEventListener(window, "popstate", sync);
  makeEventListener(document, "click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.origin !== location.origin || link.target !== "" || link.hasAttribute("download")) return;
    if (link.hasAttribute("data-server") || link.hash !== "") return;
    event.preventDefault();
    go(link.href);
  });

  return {
    route,
    path,
    param: (name, fallback = "") => params().get(name) ?? fallback,
    setParams(changes, options = {}) {
      const next = applyParams(location.search, changes);
      if (next === location.search) return;
      const url = location.pathname + next;
      if (options.push) history.pushState(null, "", url);
      else history.replaceState(null, "", url);
      sync();
    },
    go,
    href: (to) => to + followedSearch(search()),
  };
}
