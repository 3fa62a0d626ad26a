/** What a viewer of a shared view may choose: the time, and how much of it. The rest is the view's. */
const freeParameters: ReadonlySet<string> = new Set(["from", "to", "step", "limit", "cursor"]);

/** The routes that a view may ask for. They read, and none of them tells of keys, links or other views. */
const sharedPaths =
  /^\/(dashboard-stream|api\/(history|live|event-types|devices(\/.+)?|device|facets|changes|events))$/;

/** A base for URLs that have none; nothing is ever asked of it. */
const nowhere = "http://view.invalid";

const fixedParameters = (url: URL): string =>
  [...url.searchParams]
    .filter(([name]) => !freeParameters.has(name))
    .map(([name, value]) => JSON.stringify([name, value]))
    .sort()
    .join();

/** Why this cannot be one of a view's requests, or null. */
export function requestFault(request: string): string | null {
  if (!URL.canParse(request, nowhere)) return "is not a path with a query";
  const url = new URL(request, nowhere);
  if (url.origin !== nowhere) return "names another host";
  return sharedPaths.test(url.pathname) ? null : `${url.pathname.slice(0, 100)} is not a route that a view can share`;
}

/**
 * Whether `asked` (a path with a query) is one of a view's requests: the same path, the same parameters in any order, with the
 * same values, but for those that a viewer may choose.
 */
export function isShared(asked: string, requests: readonly string[]): boolean {
  if (requestFault(asked) !== null) return false;
  const url = new URL(asked, nowhere);
  const fixed = fixedParameters(url);
  return requests.some((request) => {
    const allowed = new URL(request, nowhere);
    return allowed.pathname === url.pathname && fixedParameters(allowed) === fixed;
  });
}
