import { describe, expect, test } from "bun:test";
import { type CountEntry, checkHistory, type Entry, type PostEntry, type TableEntry } from "./history-check.ts";

const post = (
  ids: string[],
  outcome: PostEntry["outcome"],
  invokedMs: number,
  more: Partial<PostEntry> = {},
): PostEntry => ({
  kind: "post",
  ids,
  outcome,
  invokedMs,
  completedMs: outcome === "unheard" ? null : invokedMs + 10,
  key: null,
  body: `{"status":"queued","event_count":${ids.length}}`,
  ...more,
});
const read = (ids: readonly string[], invokedMs: number): TableEntry => {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return { kind: "table", invokedMs, completedMs: invokedMs + 10, counts };
};
const count = (source: CountEntry["source"], value: number, invokedMs: number): CountEntry => ({
  kind: "count",
  source,
  count: value,
  invokedMs,
  completedMs: invokedMs + 10,
  sinceMs: 0,
});

/** Everything that can happen and is right. */
const good: readonly Entry[] = [
  post(["a", "b"], "stored", 100),
  post(["c"], "queued", 100),
  post(["d"], "refused", 100),
  post(["e", "f"], "unheard", 100),
  post(["g"], "unheard", 100),
  post(["h"], "unheard", 100, { key: "k" }),
  post(["h"], "queued", 300, { key: "k" }),
  post(["h"], "stored", 400, { key: "k", body: '{"status":"stored","event_count":1}' }),
  // In the middle of things: unheard and queued ones may be there already, or not yet.
  read(["a", "b", "e", "f"], 105),
  read(["a", "b", "e", "f"], 200),
  count("history", 2, 150),
  count("stream", 5, 1_000),
  count("history", 6, 9_000),
  count("stream", 6, 9_000),
  read(["a", "b", "c", "e", "f", "h"], 10_000),
];

test("a history that can be explained has no violation", () => expect(checkHistory(good)).toEqual([]));

describe("each kind of contradiction is noticed", () => {
  const cases: readonly (readonly [name: string, history: readonly Entry[], words: RegExp])[] = [
    [
      "an acknowledged event is lost",
      [...good.slice(0, -1), read(["a", "b", "e", "f", "h"], 10_000)],
      /c was acknowledged and is lost/,
    ],
    ["an event is there twice", [...good, read(["a", "a", "b", "c", "e", "f", "h"], 11_000)], /a was read twice/],
    [
      "a refused event is there",
      [...good, read(["a", "b", "c", "d", "e", "f", "h"], 11_000)],
      /d was read although it was refused/,
    ],
    [
      "a stored event is missing from a later read",
      [...good, read(["a", "e", "f"], 120)],
      /a was answered as stored and is not in a later read/,
    ],
    ["an event that was read is gone", [...good, read(["a", "b"], 300)], /e was read and is gone/],
    [
      "a request is there in part",
      [...good.slice(0, -1), read(["a", "b", "c", "e", "h"], 10_000)],
      /request of e is there in part/,
    ],
    [
      "an event is read before it was sent",
      [
        ...good,
        post(["z"], "queued", 12_000),
        read(["a", "b", "c", "e", "f", "h", "z"], 11_000),
        read(["a", "b", "c", "e", "f", "h", "z"], 13_000),
      ],
      /z was read before it was sent/,
    ],
    [
      "a key is answered in two ways",
      [...good, post(["h"], "queued", 500, { key: "k", body: '{"status":"queued","event_count":2}' })],
      /k was answered in 2 ways/,
    ],
    ["the rollups count what was never sent", [...good, count("history", 99, 9_500)], /history counted 99 of at most/],
    ["the rollups miss what was stored", [...good, count("history", 1, 9_500)], /history counted 1 of at least 3/],
    ["the rollups shrink", [...good, count("history", 4, 9_500)], /history counted 6, and 4 later/],
    [
      "the live view misses what was acknowledged",
      [...good, count("stream", 3, 9_500)],
      /stream counted 3 of at least 4/,
    ],
    ["the live view counts twice", [...good, count("stream", 14, 9_500)], /stream counted 14 of at most/],
    ["nobody looked", good.filter(({ kind }) => kind !== "table"), /no read of the table/],
  ];
  test.each(cases)("%s", (_, history, words) => expect(checkHistory(history).join("\n")).toMatch(words));
});

test("a long list of violations is cut short, and says so", () => {
  const lost = Array.from({ length: 40 }, (_, n) => post([`x${n}`], "queued", 100));
  const violations = checkHistory([...lost, read([], 10_000)]);
  expect(violations).toHaveLength(6);
  expect(violations.at(-1)).toBe("and 35 more violations of the history");
});
