import { expect, test } from "bun:test";
import { createRandom } from "../../../base/random.ts";
import { CellCollector, type Cells } from "../cells.ts";
import { epochOf } from "../epoch.ts";
import {
  decodePartial,
  encodePartial,
  type NamedCells,
  SharedEpoch,
  SharedPartialError,
  subtractCells,
} from "./named-cells.ts";

const seed = Number(process.env.SHARED_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

function collect(random: () => number, events: number): Cells {
  const collector = new CellCollector();
  for (let event = 0; event < events; event++) {
    const value = random() < 0.1 ? Number.NaN : Math.round((random() - 0.3) * 4000) / 4;
    collector.observe(Math.floor(random() * 5), 1_767_225_600 + Math.floor(random() * 40), value);
  }
  return collector.take();
}

/** Everything that can be told of cells, in one order. */
function described({ names, cells }: NamedCells): unknown {
  const rows = Array.from({ length: cells.length }, (_, cell) => [
    `${names[cells.types[cell] as number]} ${cells.seconds[cell]}`,
    cells.counts[cell],
    cells.valueCounts[cell],
    cells.sums[cell],
    cells.mins[cell],
    cells.maxs[cell],
  ]);
  const histograms = cells.histograms.map(({ type, block, histogram }) => [
    `${names[type]} ${block}`,
    histogram.zeros,
    [histogram.positive, histogram.negative].map((store) =>
      store === null ? [] : [...store.bins].flatMap((count, at) => (count === 0 ? [] : [[store.offset + at, count]])),
    ),
  ]);
  return [rows.sort(), histograms.sort()];
}

const nameOf = (type: number): string => `type ${type}`;
const sent = (cells: Cells): NamedCells => {
  const names = new Map(Array.from({ length: 5 }, (_, type) => [type, nameOf(type)]));
  return decodePartial(encodePartial(1, epochOf(7), cells, names)).cells;
};

test(`what was known and what is added make the whole (seed ${seed})`, () => {
  const random = createRandom(seed);
  for (let run = 0; run < 50; run++) {
    const epoch = new SharedEpoch();
    epoch.add(collect(random, 1 + Math.floor(random() * 200)), nameOf);
    const known = sent(epoch.cells as Cells);
    epoch.add(collect(random, Math.floor(random() * 200)), nameOf);
    const whole = sent(epoch.cells as Cells);
    const added = subtractCells(whole, known);
    const sum = new CellCollector();
    const place = new Map(whole.names.map((name, index) => [name, index]));
    for (const { names, cells } of [subtractCells(known, null), added]) {
      for (let cell = 0; cell < cells.length; cell++) {
        cells.types[cell] = place.get(names[cells.types[cell] as number] as string) as number;
      }
      for (const entry of cells.histograms) entry.type = place.get(names[entry.type] as string) as number;
      sum.absorb(cells);
    }
    expect(described({ names: whole.names, cells: sum.take() })).toEqual(described(whole));
    // The same again adds nothing.
    expect(subtractCells(whole, whole).cells.length).toBe(0);
  }
});

test("bytes that are cut short or run on are refused", () => {
  const bytes = encodePartial(0, epochOf(1), collect(createRandom(seed), 20), new Map([[0, "a"]]));
  expect(() => decodePartial(bytes.subarray(0, bytes.length - 1))).toThrow();
  expect(() => decodePartial(Buffer.concat([bytes, new Uint8Array(1)]))).toThrow(SharedPartialError);
});
