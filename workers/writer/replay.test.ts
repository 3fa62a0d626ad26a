import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DeadLetter, openDeadLetterFile, readDeadLetters } from "./dead-letter.ts";
import { type ReplayResult, replayLetters } from "./replay.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sluice-replay-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = "2026-01-01T00:00:00.000Z";

function createLetters(...ids: string[]): DeadLetter[] {
  const file = openDeadLetterFile(directory, 1e6, () => new Date(at));
  for (const id of ids) {
    const event = {
      timestamp: at,
      received_at: at,
      device_id: `device ${id}`,
      event_type: "t",
      value_float: null,
      value_string: null,
      metadata: {},
    };
    file.tryAppend({ id, at, code: 469, reason: "no", event });
  }
  file.close();
  return [...readDeadLetters(directory)];
}

/** A service that remembers keys, and answers as told; `null`: the answer is lost after the event was taken. */
function createService(...answers: (number | null)[]) {
  const taken = new Map<string, Record<string, unknown>>();
  const said: string[] = [];
  let nowMs = Date.parse("2026-01-02T00:00:00.000Z");
  return {
    taken,
    said,
    pass: (ms: number) => {
      nowMs += ms;
    },
    replay: (letters: readonly DeadLetter[], force = false): Promise<ReplayResult> =>
      replayLetters(
        {
          now: () => new Date(nowMs),
          pause: async () => undefined,
          say: (line) => void said.push(line),
          fetch: async (_url, init) => {
            const answer = answers.length > 0 ? (answers.shift() as number | null) : 202;
            const headers = new Headers(init.headers);
            if (answer === 202 || answer === null) {
              taken.set(headers.get("idempotency-key") as string, JSON.parse(String(init.body)));
            }
            if (answer === null) throw new Error("read ECONNRESET");
            return new Response("why", { status: answer });
          },
        },
        { directory, url: "http://service", key: null, force },
        letters,
      ),
  };
}

test("an accepted event is no letter any more, and keeps its own time", async () => {
  const service = createService();
  expect(await service.replay(createLetters("a", "b"))).toEqual({ replayed: 2, refused: 0, left: 0 });
  expect([...readDeadLetters(directory)]).toEqual([]);
  expect(service.taken.get("a")).toEqual({
    timestamp: at,
    device_id: "device a",
    event_type: "t",
    value_float: null,
    value_string: null,
    metadata: {},
  });
});

test("an event whose answer was lost is sent again under the same key", async () => {
  const service = createService(null, 503, null);
  expect(await service.replay(createLetters("a"))).toEqual({ replayed: 1, refused: 0, left: 0 });
  expect([...service.taken.keys()]).toEqual(["a"]);
});

test("an event that the service refuses stays a letter, and the rest goes on", async () => {
  const service = createService(422, 202);
  expect(await service.replay(createLetters("old", "b"))).toEqual({ replayed: 1, refused: 1, left: 0 });
  expect([...readDeadLetters(directory)].map(({ id }) => id)).toEqual(["old"]);
  expect(service.said.join()).toContain("old: refused: 422 why");
});

test("a wrong key, and a service that does not answer, end the replay", async () => {
  expect(await createService(401).replay(createLetters("a", "b"))).toEqual({ replayed: 0, refused: 0, left: 2 });
  const silent = createService(...Array.from({ length: 8 }, () => 503));
  expect(await silent.replay([...readDeadLetters(directory)])).toEqual({ replayed: 0, refused: 0, left: 2 });
});

test("what was cut off longer ago than keys are remembered is not sent without being told to", async () => {
  const letters = createLetters("a");
  const service = createService(...Array.from({ length: 8 }, () => null));
  expect((await service.replay(letters)).left).toBe(1);
  service.pass(3_600_000);
  service.taken.clear();
  expect(await service.replay(letters)).toEqual({ replayed: 0, refused: 1, left: 0 });
  expect(service.taken.size).toBe(0);
  expect(service.said.join()).toContain("--force");
  expect(await service.replay(letters, true)).toEqual({ replayed: 1, refused: 0, left: 0 });
});
