import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hashDeviceId } from "../../../contract/row.ts";
import { parseReference, type ReferenceOptions } from "../../../testing/line-protocol-reference.ts";
import { TypeNames } from "../type-names.ts";
import { LineScanner } from "./line-scanner.ts";

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { ignoreBOM: true });
const options: ReferenceOptions = { precision: "ns", deviceTags: ["device_id", "host"], place: "db" };

/** All that the scanner says of a body, in the reference's words. */
function scan(body: string, { precision, deviceTags, place }: ReferenceOptions = options) {
  const scanner = new LineScanner();
  const names = new TypeNames();
  const encoded = deviceTags.map((tag) => utf8.encode(tag));
  scanner.open(utf8.encode(body), {
    precision,
    deviceTags: encoded,
    place: place === null ? null : utf8.encode(place),
  });
  const between = (start: number, end: number) => text.decode(scanner.bytes.subarray(start, end));
  const points = [];
  const badLines = [];
  const faults = [];
  for (let step = scanner.next(); step !== "end"; step = scanner.next()) {
    if (step === "bad") {
      badLines.push(scanner.lineNumber);
      faults.push(scanner.fault);
      continue;
    }
    const tags = [];
    for (let place = 0; place < scanner.metadataKeys * 4; place += 4) {
      const [a = 0, b = 0, c = 0, d = 0] = scanner.metadata.subarray(place, place + 4);
      tags.push([between(a, b), between(c, d)] as const);
    }
    const fields = [];
    for (let index = 0; index < scanner.fieldCount; index++) {
      scanner.select(index);
      const { value, textStart, textEnd } = scanner;
      const type = names.nameOf(scanner);
      expect(type).toBe(between(scanner.typeStart, scanner.typeEnd));
      fields.push({
        type,
        value: Number.isNaN(value) ? null : value,
        text: textStart < 0 ? null : between(textStart, textEnd),
      });
    }
    const device = between(scanner.deviceStart, scanner.deviceEnd);
    expect([scanner.deviceHashA, scanner.deviceHashB]).toEqual(hashDeviceId(device));
    const timeMs = Number.isNaN(scanner.timestampMs) ? null : scanner.timestampMs;
    points.push({ line: scanner.lineNumber, device, tags, fields, timeMs });
  }
  return { points, badLines, faults };
}

function agree(body: string, given: ReferenceOptions = options): void {
  const { points, badLines } = scan(body, given);
  expect<unknown>({ points, badLines }).toEqual(parseReference(body, given));
}

describe("line protocol", () => {
  test("a point with every type of field", () => {
    const line = String.raw`we\ at\,her,host=h\=1,reg\ ion=eu f=1.5,i=-3i,u=7u,b=T,s="a \"b\" \\ c",value=2 1700000000123456789`;
    expect(scan(line).points).toEqual([
      {
        line: 1,
        device: "h=1",
        tags: [
          ["host", "h=1"],
          ["reg ion", "eu"],
        ],
        fields: [
          { type: "we at,her_f", value: 1.5, text: null },
          { type: "we at,her_i", value: -3, text: null },
          { type: "we at,her_u", value: 7, text: null },
          { type: "we at,her_b", value: 1, text: null },
          { type: "we at,her_s", value: null, text: String.raw`a "b" \ c` },
          { type: "we at,her", value: 2, text: null },
        ],
        timeMs: 1_700_000_000_123,
      },
    ]);
  });

  test("integers beyond 2^53 keep their digits as text", () => {
    const [point] = scan(
      "m a=9007199254740991i,b=9007199254740993i,c=18446744073709551615u,d=-9223372036854775808i",
    ).points;
    expect(point?.fields).toEqual([
      { type: "m_a", value: 9007199254740991, text: null },
      { type: "m_b", value: 9007199254740992, text: "9007199254740993" },
      { type: "m_c", value: 18446744073709552000, text: "18446744073709551615" },
      { type: "m_d", value: -(2 ** 63), text: "-9223372036854775808" },
    ]);
  });

  test("the first of the device tags names the device, else the place; with neither the line is bad", () => {
    expect(scan("m,host=a,device_id=b v=1").points[0]?.device).toBe("b");
    expect(scan("m,x=a v=1").points[0]?.device).toBe("db");
    expect(scan("m,x=a v=1\nm,host=h v=1", { ...options, place: null })).toMatchObject({
      points: [{ line: 2, device: "h" }],
      badLines: [1],
    });
  });

  test("bad lines are named by number and cost nobody else", () => {
    const body = 'm v=1\nm\n\n# comment\nm v=x\r\nm v=2\r\nm s="open\nm v=3\nm s="a\nb",v=x\nm v=4 12z\nm v=5';
    const { points, badLines, faults } = scan(body);
    expect(badLines).toEqual([2, 5, 7, 9, 11]);
    expect(points.map(({ line, fields }) => [line, fields[0]?.value])).toEqual([
      [1, 1],
      [6, 2],
      [8, 3],
      [12, 5],
    ]);
    expect(faults[0]).toBe("fields are missing");
  });

  const bad = [
    "m",
    "m ",
    "m v",
    "m v=",
    "m =1",
    "m v=1,",
    "m v=1,,w=2",
    ",t=a v=1",
    "m,t v=1",
    "m,t= v=1",
    "m,=a v=1",
    "m, v=1",
    "m,t=a=b v=1",
    "m,t=a,t=b v=1",
    "m v=tru",
    "m v=truE",
    "m v=1x",
    "m v=1.2.3",
    "m v=--1",
    "m v=-",
    "m v=.",
    "m v=1e",
    "m v=1e400",
    "m v=0x1f",
    "m v=1_000",
    "m v=NaN",
    "m v=nan",
    "m v=Inf",
    "m v=+1",
    "m v=1.5i",
    "m v=i",
    "m v=-i",
    "m v=1ii",
    "m v=9223372036854775808i",
    "m v=-9223372036854775809i",
    "m v=18446744073709551616u",
    "m v=-1u",
    'm v="',
    'm v="a"b',
    "m v='a'",
    "m v=1 x",
    "m v=1 1.5",
    "m v=1 +1",
    "m v=1 1 1",
    "m v=1 99999999999999999999",
    "m a b=1",
    "m a,b=1",
    "m v=1 w=2",
    `${"x".repeat(129)} value=1`,
    `m ${"x".repeat(127)}=1`,
    `m,host=${"h".repeat(257)} v=1`,
    `m,${Array.from({ length: 65 }, (_, index) => `t${index}=x`).join(",")} v=1`,
    `m v="${"x".repeat(65_537)}"`,
  ];
  test.each(bad)("refused: %p", (line) => {
    expect(scan(`m v=1\n${line}\nm v=2`)).toMatchObject({ points: [{ line: 1 }, { line: 3 }], badLines: [2] });
    agree(line);
  });

  const good = [
    "m v=1.",
    "m v=.5",
    "m v=-.5",
    "m v=1e5",
    "m v=1E-5",
    "m v=-0",
    "m v=007",
    "m v=0i",
    "m v=-0i",
    "m v=00012i",
    "m v=0.1234567890123456789",
    "m v=12345678901234567890",
    "m v=t",
    "m v=False",
    "m  v=1   12  ",
    "\t m v=1 12\t",
    "m v=1\r",
    'm v=""',
    'm v="a,b c=d"',
    'm v="line\nline"',
    'm v="\\n"',
    'm "v"=1',
    "m=x v=1",
    String.raw`m\=x v=1`,
    String.raw`m\ v=1 w=1`,
    String.raw`m,t=a\\\,b v=1`,
    String.raw`m,t=C:\dir v=1`,
    String.raw`m k\"x=1`,
    "mé,host=Zürich ü=1",
    `${"x".repeat(125)}🚀 é=1`,
    "m,host=🚀 v=1",
    "m v=1,v=2",
    "m v=1 -1",
    "m v=1 -1000001",
    "m v=1 0000000000000000000000012",
    `${"é".repeat(128)} value=1`,
    `m,host=${"é".repeat(256)} v=1`,
    `m v="${"x".repeat(65_536)}"`,
  ];
  test.each(good)("taken: %p", (line) => {
    const { points, badLines } = scan(line);
    expect(badLines).toEqual([]);
    expect(points.length).toBe(1);
    agree(line);
  });

  test.each([
    ["ns", "1700000000123999999", 1_700_000_000_123],
    ["us", "1700000000123999", 1_700_000_000_123],
    ["ms", "1700000000123", 1_700_000_000_123],
    ["s", "1700000000", 1_700_000_000_000],
    ["m", "28333333", 1_699_999_980_000],
    ["h", "472222", 1_699_999_200_000],
  ] as const)("times in %s", (precision, time, expected) => {
    expect(scan(`m v=1 ${time}`, { ...options, precision }).points[0]?.timeMs).toBe(expected);
  });
});

describe("scanner and reference parser", () => {
  const name = fc.stringMatching(/^(?:[a-c]|\\[,= "]|\\|é|🚀|"){1,6}$/);
  const number = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => String(value).replace("+", "")),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => `${value}i`),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => `${value}u`),
    fc.stringMatching(/^-?[0-9.eiu+]{1,24}$/),
  );
  const quoted = fc.stringMatching(/^(?:[a-c ,=]|\\["\\]|\\|\n|é){0,8}$/).map((content) => `"${content}"`);
  const field = fc
    .tuple(name, fc.oneof(number, quoted, fc.constantFrom("t", "True", "false", "F")))
    .map((pair) => pair.join("="));
  const tag = fc.tuple(fc.oneof(name, fc.constantFrom("host", "device_id")), name).map((pair) => pair.join("="));
  const line = fc
    .tuple(
      name,
      fc.array(tag, { maxLength: 4 }),
      fc.array(field, { minLength: 1, maxLength: 4 }),
      fc.option(fc.bigInt(-(2n ** 62n), 2n ** 63n)),
    )
    .map(
      ([measurement, tags, fields, time]) =>
        `${[measurement, ...tags].join(",")} ${fields.join(",")}${time === null ? "" : ` ${time}`}`,
    );
  const body = fc
    .array(
      fc.oneof({ weight: 6, arbitrary: line }, { weight: 1, arbitrary: fc.constantFrom("", '# c"', " ", "\r", "\t") }),
      { maxLength: 6 },
    )
    .map((lines) => lines.join("\n"));
  const damage = fc.array(
    fc.tuple(fc.nat(), fc.constantFrom("", '"', "\\", " ", ",", "=", "\n", "\r", "\t", "#", "1", "i")),
    { maxLength: 4 },
  );
  const precision = fc.constantFrom("ns", "us", "ms", "s", "m", "h");

  test("say the same of generated bodies", () => {
    fc.assert(
      fc.property(body, precision, (given, unit) => agree(given, { ...options, precision: unit })),
      { numRuns: 3000 },
    );
  });

  test("say the same of damaged bodies", () => {
    fc.assert(
      fc.property(body, damage, (given, places) => {
        let damaged = given;
        for (const [place, put] of places) {
          const at = place % (damaged.length + 1);
          damaged = damaged.slice(0, at) + put + damaged.slice(at + (put === "" ? 1 : 0));
        }
        agree(damaged.toWellFormed(), { ...options, place: places.length % 2 === 0 ? "db" : null });
      }),
      { numRuns: 5000 },
    );
  });

  test("say the same of any text", () => {
    const alphabet = fc.constantFrom(
      "m",
      "v",
      "=",
      ",",
      " ",
      "\\",
      '"',
      "\n",
      "\r",
      "1",
      "i",
      ".",
      "-",
      "e",
      "t",
      "#",
      "\t",
      "é",
    );
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 60 }), (given) => agree(given)),
      { numRuns: 10_000 },
    );
  });
});
