import { makeEventListener } from "@solid-primitives/event-listener";
import { type Accessor, batch, createMemo, createSignal } from "solid-js";
import { encodeDeviceSegment } from "../../../contract/device-path.ts";

/** A page's name and where it is; a segment that begins with a colon is a parameter: `/devices/:id`. */
export interface PagePath {
  readonly name: string;
  readonly path: string;
}

export interface Route {
  /** A name of the table of pages, or `not_found`. */
  readonly page: string;
  readonly params: Readonly<Record<string, string>>;
}

function segments(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}

/** The parameters of `pattern` in `path`; undefined when it does not match. A path that cannot be decoded does not. */
function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = segments(pattern);
  const given = segments(path);
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index]!;
    if (!part.startsWith(":")) {
      if (part !== value) return undefined;
      continue;
    }
    try {
      params[part.slice(1)] = decodeURIComponent(value);
    } catch (error) {
      if (!(error instanceof URIError)) throw error;
      return undefined;
    }
  }
  return params;
}

export function parseRoute(pages: readonly PagePath[], path: string): Route {
  for (const page of pages) {
    const params = matchPath(page.path, path);
    if (params) return { page: page.name, params };
  }
  return { page: "not_found", params: {} };
}

export function devicePath(id: string): string {
  return `/devices/${encodeDeviceSegment(id)}`;
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

/**
 * What follows a viewer from page to page: how things look, the time range, and the part of the fleet they look at
 * (`meta.site=…`). Everything else belongs to one page.
 */
const followed: ReadonlySet<string> = new Set(["wall", "tz", "theme", "from", "to"]);
export const metadataPrefix = "meta.";

export function followedSearch(search: string): string {
  const kept = [...new URLSearchParams(search)].filter(
    ([name]) => followed.has(name) || name.startsWith(metadataPrefix),
  );
  return applyParams("", Object.fromEntries(kept));
}

export interface Router {
  route: Accessor<Route>;
  path: Accessor<string>;
  /** The value of a query parameter; `fallback` when it is absent. */
  param(name: string, fallback?: string): string;
  /** All query parameters whose name begins with `prefix`. */
  paramsUnder(prefix: string): Record<string, string>;
  /** Changes the query of this page. `push` makes it a step for the back button; without, it replaces. */
  setParams(changes: ParamChanges, options?: { push?: boolean }): void;
  /** Goes to a page of this site. A path without a query takes along what follows the viewer. */
  go(href: string): void;
  /** The href a link should carry, so that "open in new tab" keeps what follows the viewer. `changes` come on top. */
  href(path: string, changes?: ParamChanges): string;
}

/** Where a router is. The browser's own location, or a place that only this page knows. */
export interface RouterPlace {
  pathname(): string;
  search(): string;
  /** `step`: the back button comes back here. */
  change(pathname: string, search: string, step: boolean): void;
}

const browserPlace: RouterPlace = {
  pathname: () => location.pathname,
  search: () => location.search,
  change(pathname, search, step) {
    if (step) history.pushState(null, "", pathname + search);
    else history.replaceState(null, "", pathname + search);
  },
};

/** The one view of a shared link: its range can be changed, and nothing leads to another page. */
export function createViewPlace(viewPath: string): RouterPlace {
  const url = new URL(viewPath, location.origin);
  let { search } = url;
  return {
    pathname: () => url.pathname,
    search: () => search,
    change(pathname, next) {
      if (pathname === url.pathname) search = next;
    },
  };
}

/** One router for the page; must be called under a Solid owner. */
export function createRouter(pages: readonly PagePath[], place: RouterPlace = browserPlace): Router {
  const [path, setPath] = createSignal(place.pathname());
  const [search, setSearch] = createSignal(place.search());
  const params = createMemo(() => new URLSearchParams(search()));
  const route = createMemo(() => parseRoute(pages, path()));

  const sync = (): void =>
    batch(() => {
      setPath(place.pathname());
      setSearch(place.search());
    });

  const go = (href: string): void => {
    const url = new URL(href, location.href);
    const query = url.search === "" ? followedSearch(place.search()) : url.search;
    const changed = url.pathname !== place.pathname();
    if (changed || query !== place.search()) place.change(url.pathname, query + url.hash, true);
    sync();
    if (changed) scrollTo(0, 0);
  };

  makeEventListener(window, "popstate", sync);
  makeEventListener(document, "click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.origin !== location.origin || link.target !== "" || link.hasAttribute("download")) return;
    if (link.hasAttribute("data-server")) return;
    // A place on this page is the browser's own business.
    if (link.hash !== "" && link.pathname === location.pathname) return;
    event.preventDefault();
    go(link.href);
  });

  return {
    route,
    path,
    param: (name, fallback = "") => params().get(name) ?? fallback,
    paramsUnder: (prefix) => Object.fromEntries([...params()].filter(([name]) => name.startsWith(prefix))),
    setParams(changes, options = {}) {
      const next = applyParams(place.search(), changes);
      if (next === place.search()) return;
      place.change(place.pathname(), next, options.push === true);
      sync();
    },
    go,
    href: (to, changes = {}) => to + applyParams(followedSearch(search()), changes),
  };
}
