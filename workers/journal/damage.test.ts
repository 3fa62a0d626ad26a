import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createRandom } from "../../base/random.ts";
import { readBody } from "../../testing/journal-model.ts";
import { type CallKind, SimulatedDisk } from "../../testing/simulated-disk.ts";
import { openDiskJournal } from "./disk.ts";
import { fileHeaderBytes, frameHeaderBytes } from "./frame.ts";
import { encodeKey } from "./idempotency-keys.ts";
import type { FrameGroup, Journal } from "./journal.ts";

const seed = Number(process.env.JOURNAL_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const runs = Number(process.env.JOURNAL_MODEL_RUNS ?? 300);
const directory = "/journal";
const nowMs = 1_800_000_000_000;

async function open(disk: SimulatedDisk, randomSeed = seed) {
  const random = createRandom(randomSeed);
  const messages: string[] = [];
  const opened = await openDiskJournal({
    files: disk,
    directory,
    maxBytes: 1 << 24,
    ownStatesRows: 1,
    nowMs: () => nowMs,
    log: (level, message) => {
      if (level !== "info" && level !== "debug") messages.push(`${level}: ${message}`);
    },
    randomId: () =>
      Math.floor(random() * 2 ** 48)
        .toString(16)
        .padStart(16, "0"),
  });
  return { ...opened, messages };
}

/** A group whose rows are one text, which says which it is. */
const textOf = (id: number, bytes: number): string => `<${id}:${"x".repeat(bytes)}>`;
const groupOf = (id: number, bytes: number, keyed: boolean): FrameGroup => ({
  rows: Buffer.from(textOf(id, bytes)),
  rowCount: 1,
  meta: keyed ? encodeKey({ key: `k${id}`, atMs: nowMs, answer: "{}" }) : new Uint8Array(0),
  epoch: id,
  atMs: nowMs,
});

async function bodies(journal: Journal): Promise<[token: string, body: string][]> {
  const found: [string, string][] = [];
  for (const batch of journal.sealed) {
    const body = await readBody(batch);
    expect(body.length).toBe(batch.bytes);
    expect(body.toString("latin1").split("<").length - 1).toBe(batch.rowCount);
    found.push([batch.token, body.toString("latin1")]);
  }
  return found;
}

interface Placed {
  readonly file: string;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A journal with these groups, a segment for each list; and where each group lies. */
async function build(segments: readonly (readonly { bytes: number; keyed: boolean }[])[]) {
  const disk = new SimulatedDisk(createRandom(seed));
  const { journal } = await open(disk);
  const placed: Placed[] = [];
  let id = 0;
  for (const groups of segments) {
    let at = fileHeaderBytes;
    const before = new Set(disk.contents(directory).keys());
    const here: Omit<Placed, "file">[] = [];
    for (const { bytes, keyed } of groups) {
      const group = groupOf(id, bytes, keyed);
      expect(journal.append(group)).toEqual({ ok: true });
      const end = at + frameHeaderBytes + group.meta.length + group.rows.length;
      here.push({ text: textOf(id, bytes), start: at, end });
      at = end;
      id++;
    }
    journal.seal();
    const file = [...disk.contents(directory).keys()].find((name) => !before.has(name) && name.endsWith(".seg")) ?? "";
    placed.push(...here.map((each) => ({ ...each, file })));
  }
  return { disk, placed };
}

const segments = fc.array(
  fc.array(fc.record({ bytes: fc.oneof(fc.nat(60), fc.nat(3000)), keyed: fc.boolean() }), {
    minLength: 1,
    maxLength: 6,
  }),
  { minLength: 1, maxLength: 4 },
);

async function assert(numRuns: number, property: fc.IAsyncProperty<unknown>): Promise<void> {
  await fc.assert(property as fc.IAsyncProperty<[unknown]>, { numRuns, seed });
}

describe(`a damaged journal (${runs} runs, seed ${seed})`, () => {
  test("loses only the groups that bits were flipped in, and is found the same by every later start", async () => {
    const flips = fc.array(fc.record({ file: fc.nat(), at: fc.nat(), bit: fc.nat(7) }), { minLength: 1, maxLength: 4 });
    await assert(
      runs,
      fc.asyncProperty(segments, flips, async (plan, damage) => {
        const { disk, placed } = await build(plan);
        const files = [...new Set(placed.map((each) => each.file))];
        const flipped = new Map<string, { file: string; at: number }>();
        for (const flip of damage) {
          const file = files[flip.file % files.length] as string;
          const bytes = (disk.contents(directory).get(file) as Uint8Array).slice();
          const at = flip.at % bytes.length;
          bytes[at] = (bytes[at] as number) ^ (1 << flip.bit);
          disk.plant(`${directory}/${file}`, bytes);
          // The same bit twice is none.
          const place = `${file} ${at} ${flip.bit}`;
          if (!flipped.delete(place)) flipped.set(place, { file, at });
        }
        const hit = [...flipped.values()];
        const inHeader = (file: string, half: number): boolean =>
          hit.some((each) => each.file === file && each.at >= half * 512 && each.at < half * 512 + 72);
        const kept = placed.filter(
          ({ file, start, end }) =>
            !hit.some((each) => each.file === file && each.at >= start && each.at < end) &&
            !(inHeader(file, 0) && inHeader(file, 1)),
        );
        const first = await open(disk);
        const found = await bodies(first.journal);
        const text = found.map(([, body]) => body).join("");
        for (const group of kept) expect(text).toContain(group.text);
        // Nothing but what was appended, in the order in which it was.
        let from = 0;
        for (const group of placed) if (text.startsWith(group.text, from)) from += group.text.length;
        expect(from).toBe(text.length);
        if (kept.length < placed.length) expect(first.messages).not.toEqual([]);
        disk.restart("power cut");
        const second = await open(disk, seed + 1);
        expect(await bodies(second.journal)).toEqual(found);
        expect(second.journal.append(groupOf(999, 10, false))).toEqual({ ok: true });
      }),
    );
  }, 120_000);

  test("that is cut short anywhere keeps every group before the cut", async () => {
    await assert(
      runs,
      fc.asyncProperty(segments, fc.nat(), fc.nat(), async (plan, which, where) => {
        const { disk, placed } = await build(plan);
        const files = [...new Set(placed.map((each) => each.file))];
        const file = files[which % files.length] as string;
        const bytes = disk.contents(directory).get(file) as Uint8Array;
        const length = where % bytes.length;
        disk.plant(`${directory}/${file}`, bytes.slice(0, length));
        const { journal } = await open(disk);
        const text = (await bodies(journal)).map(([, body]) => body).join("");
        const kept = placed.filter((each) => each.file !== file || each.end <= length);
        expect(text).toBe(kept.map((each) => each.text).join(""));
      }),
    );
  }, 120_000);

  test("never keeps a start from succeeding, whatever the files hold", async () => {
    const name = fc.oneof(
      fc.constantFrom("journal-id", "journal-id.new", "keys-1.log", "keys-2.log", "a.seg", ".seg", "1.seg.notes"),
      fc.constantFrom(
        "0000000000000001.seg",
        "0000000000000001.notes",
        "0000000000000001.done",
        "9999999999999999.seg",
      ),
      fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !text.includes("/") && text !== "." && text !== ".."),
    );
    const patch = fc.record({ at: fc.nat(5000), bytes: fc.uint8Array({ maxLength: 40 }) });
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }).map((bytes) => ({ bytes, like: -1, patches: [] })),
      fc.record({ like: fc.nat(9), patches: fc.array(patch, { maxLength: 3 }), bytes: fc.constant(new Uint8Array(0)) }),
    );
    await assert(
      runs,
      fc.asyncProperty(segments, fc.array(fc.tuple(name, content), { maxLength: 6 }), async (plan, planted) => {
        const { disk } = await build(plan);
        const originals = [...disk.contents(directory).values()];
        for (const [file, { bytes, like, patches }] of planted) {
          const copy = like < 0 ? bytes : (originals[like % originals.length] as Uint8Array).slice();
          for (const each of patches) {
            if (each.at < copy.length) copy.set(each.bytes.subarray(0, copy.length - each.at), each.at);
          }
          disk.plant(`${directory}/${file}`, copy);
        }
        const first = await open(disk);
        const found = await bodies(first.journal);
        expect(new Set(found.map(([token]) => token)).size).toBe(found.length);
        expect(first.journal.append(groupOf(999, 10, true))).toEqual({ ok: true });
        first.journal.seal();
        disk.restart("power cut");
        const second = await open(disk, seed + 1);
        const again = await bodies(second.journal);
        for (const each of found) expect(again).toContainEqual(each);
        expect(again.length).toBe(found.length + 1);
        for (const batch of [...second.journal.sealed]) await second.journal.commit(batch);
        expect((await open(disk, seed + 2)).journal.sealed).toEqual([]);
      }),
    );
  }, 120_000);

  test("on a disk that fails while it is read is handed out in the same batches ever after, and in the end wholly", async () => {
    const kinds: CallKind[] = ["read", "open", "create", "write", "sync", "truncate", "remove", "rename"];
    const fault = fc.record({
      after: fc.nat(40),
      count: fc.integer({ min: 1, max: 6 }),
      every: fc.integer({ min: 1, max: 4 }),
      kinds: fc.oneof(fc.constant(["read" as const]), fc.subarray(kinds, { minLength: 1 })),
    });
    await assert(
      runs,
      fc.asyncProperty(segments, fault, async (plan, { kinds, ...fault }) => {
        const { disk, placed } = await build(plan);
        disk.fault = { ...fault, kinds: new Set(kinds), code: "EIO" };
        let found: [string, string][] = [];
        try {
          const { journal } = await open(disk);
          disk.fault = null;
          found = await bodies(journal);
        } catch (error) {
          // Only a directory that cannot be listed stops a start.
          expect(String(error)).toContain("EIO: simulated, read");
        }
        disk.fault = null;
        disk.restart("power cut");
        const { journal } = await open(disk, seed + 1);
        const again = new Map(await bodies(journal));
        for (const [token, body] of found) expect(again.get(token)).toBe(body);
        // What an unreadable sector took is in no batch; everything else is.
        const text = [...again.values()].join("");
        if (!kinds.includes("read")) expect(text).toBe(placed.map((each) => each.text).join(""));
      }),
    );
  }, 120_000);

  test("gives back no more than a few committed batches when the power goes", async () => {
    // A disk that keeps nothing that was not synced.
    const disk = new SimulatedDisk(() => 0.999);
    const { journal } = await open(disk);
    for (let id = 0; id < 40; id++) {
      journal.append(groupOf(id, 10, id % 2 === 0));
      journal.seal();
    }
    for (const batch of [...journal.sealed]) await journal.commit(batch);
    disk.restart("power cut");
    const again = await open(disk, seed + 1);
    expect(again.journal.sealed.length).toBeLessThanOrEqual(8);
    expect(again.keys.length).toBe(20);
  });
});
