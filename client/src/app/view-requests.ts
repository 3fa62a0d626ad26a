/** These are free under a shared link: they move with the clock, or page through what is allowed anyway. */
const free: ReadonlySet<string> = new Set(["from", "to", "step", "limit", "cursor"]);

/** What a view needs to be drawn: each request once, without what is free. The live stream belongs to every page. */
export function viewRequests(asked: readonly string[]): string[] {
  const requests = asked.map((path) => {
    const url = new URL(path, "http://view");
    for (const name of free) url.searchParams.delete(name);
    return url.pathname + url.search;
  });
  return [...new Set([...requests, "/dashboard-stream"])];
}
