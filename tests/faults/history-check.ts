/**
 * Decides whether a history of operations can be explained by a service that keeps its promises. In the manner of Jepsen:
 * clients write down when they asked and when they heard, and what they heard; nothing is known of the order in between,
 * so only what holds for every such order is a violation. Times are of one clock, in milliseconds.
 */
export type Entry = PostEntry | TableEntry | CountEntry;

interface Span {
  readonly invokedMs: number;
  /** When the answer was heard. An operation that nobody heard the end of has none, and may take effect at any later time. */
  readonly completedMs: number | null;
}

/** POST /ingest of these ids. */
export interface PostEntry extends Span {
  readonly kind: "post";
  readonly ids: readonly string[];
  readonly key: string | null;
  /** `stored`: 200, ClickHouse has confirmed. `queued`: 202. `refused`: an error that says that nothing was accepted. */
  readonly outcome: "stored" | "queued" | "refused" | "unheard";
  readonly body: string;
}

/** A read of the table: how often each id is there. */
export interface TableEntry extends Span {
  readonly kind: "table";
  readonly completedMs: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** How many events a rollup (`history`) or the live view (`stream`) counted. */
export interface CountEntry extends Span {
  readonly kind: "count";
  readonly source: "history" | "stream";
  readonly completedMs: number;
  readonly count: number;
  /** From here on what was acknowledged has to be in it; null: of no use as a lower bound (a view that is still filling). */
  readonly sinceMs: number | null;
}

/** How long after an acknowledgement an update of the stream may still be without it: updates are made in intervals. */
const streamDelayMs = 1_500;
const shownMax = 5;

/** In words; none when the history is explained. The last table read has to be one after everything has settled. */
export function checkHistory(history: readonly Entry[]): string[] {
  const posts = history.filter((entry) => entry.kind === "post");
  const reads = history.filter((entry) => entry.kind === "table").sort((a, b) => a.invokedMs - b.invokedMs);
  const counts = history.filter((entry) => entry.kind === "count");
  const found = [
    ...reads.flatMap((read) => checkRead(read, posts)),
    ...checkRepeatedReads(reads),
    ...checkEnd(reads.at(-1), posts),
    ...checkKeys(posts),
    ...counts.flatMap((count) => checkCount(count, posts)),
    ...checkMonotonicHistory(counts),
  ];
  const unique = [...new Set(found)];
  return unique.length <= shownMax
    ? unique
    : [...unique.slice(0, shownMax), `and ${unique.length - shownMax} more violations of the history`];
}

/** A read sees nothing that was not asked for before it ended, nothing refused, nothing twice, and all that was stored before it began. */
function checkRead(read: TableEntry, posts: readonly PostEntry[]): string[] {
  const found: string[] = [];
  for (const post of effective(posts)) {
    const seen = post.ids.filter((id) => read.counts.has(id));
    if (seen.length > 0 && post.invokedMs > read.completedMs) found.push(`${seen[0]} was read before it was sent`);
    const twice = post.ids.find((id) => (read.counts.get(id) ?? 0) > 1);
    if (twice !== undefined) found.push(`${twice} was read twice`);
    if (post.outcome === "refused" && seen.length > 0) found.push(`${seen[0]} was read although it was refused`);
    const confirmed = post.outcome === "stored" && post.completedMs !== null && post.completedMs < read.invokedMs;
    if (confirmed && seen.length < post.ids.length)
      found.push(`${post.ids[0]} was answered as stored and is not in a later read`);
  }
  return found;
}

/** What one read has seen, a read that began after it ended sees, too. */
function checkRepeatedReads(reads: readonly TableEntry[]): string[] {
  const found: string[] = [];
  for (const [at, later] of reads.entries()) {
    const earlier = reads.slice(0, at).findLast((read) => read.completedMs < later.invokedMs);
    for (const id of earlier?.counts.keys() ?? []) {
      if (!later.counts.has(id)) found.push(`${id} was read and is gone in a later read`);
    }
  }
  return found;
}

/** In the end each acknowledged post is there whole, and each unheard one whole or not at all. */
function checkEnd(last: TableEntry | undefined, posts: readonly PostEntry[]): string[] {
  if (last === undefined) return ["no read of the table was made"];
  return effective(posts).flatMap((post) => {
    const seen = post.ids.filter((id) => last.counts.has(id)).length;
    const acknowledged = post.outcome === "stored" || post.outcome === "queued";
    if (acknowledged && seen < post.ids.length) return [`${post.ids[0]} was acknowledged and is lost`];
    return seen > 0 && seen < post.ids.length ? [`the request of ${post.ids[0]} is there in part`] : [];
  });
}

/** Requests with one key are one request: it was accepted if any of them was. */
function effective(posts: readonly PostEntry[]): PostEntry[] {
  const keyed = Map.groupBy(posts, (post) => post.key ?? post);
  return [...keyed.values()].map((group) => {
    const order = ["stored", "queued", "unheard", "refused"] as const;
    const best = order.flatMap((outcome) => group.filter((post) => post.outcome === outcome))[0] as PostEntry;
    return { ...best, invokedMs: Math.min(...group.map(({ invokedMs }) => invokedMs)) };
  });
}

/** One key, one answer: as `200` and `202` differ by how long was waited, only what they say of the events is compared. */
function checkKeys(posts: readonly PostEntry[]): string[] {
  const accepted = posts.filter(
    (post) => post.key !== null && (post.outcome === "stored" || post.outcome === "queued"),
  );
  return [...Map.groupBy(accepted, ({ key }) => key)].flatMap(([key, group]) => {
    const answers = new Set(group.map(({ body }) => body.replace('"stored"', '"queued"')));
    return answers.size > 1 ? [`${key} was answered in ${answers.size} ways: ${[...answers].join(" and ")}`] : [];
  });
}

function checkCount(entry: CountEntry, posts: readonly PostEntry[]): string[] {
  const all = effective(posts);
  const sum = (some: readonly PostEntry[]): number => some.reduce((total, { ids }) => total + ids.length, 0);
  const most = sum(all.filter((post) => post.outcome !== "refused" && post.invokedMs < entry.completedMs));
  if (entry.count > most) return [`${entry.source} counted ${entry.count} of at most ${most} events`];
  if (entry.sinceMs === null) return [];
  const since = entry.sinceMs;
  const certain = (post: PostEntry): boolean =>
    entry.source === "stream"
      ? post.outcome !== "unheard" &&
        post.outcome !== "refused" &&
        within(post, since, entry.completedMs - streamDelayMs)
      : post.outcome === "stored" && within(post, since, entry.invokedMs);
  const least = sum(all.filter(certain));
  return entry.count < least ? [`${entry.source} counted ${entry.count} of at least ${least} events`] : [];
}

const within = (post: PostEntry, fromMs: number, toMs: number): boolean =>
  post.completedMs !== null && post.completedMs > fromMs && post.completedMs < toMs;

/** Rollups only grow. */
function checkMonotonicHistory(counts: readonly CountEntry[]): string[] {
  const reads = counts.filter(({ source }) => source === "history").sort((a, b) => a.invokedMs - b.invokedMs);
  return reads.flatMap((later, at) => {
    const earlier = reads.slice(0, at).findLast((read) => read.completedMs < later.invokedMs);
    return earlier && later.count < earlier.count ? [`history counted ${earlier.count}, and ${later.count} later`] : [];
  });
}
