import { expect, test } from "bun:test";
import {
  destinationOptions,
  integerBetween,
  numberBetween,
  parseArguments,
  parseOutage,
  parseServiceUrl,
} from "./arguments.ts";

const program = {
  usage: "usage",
  about: "about",
  options: {
    ...destinationOptions("from-environment"),
    count: { value: "N", help: "how many", fallback: 7, parse: integerBetween(1, 10), allowed: "1 to 10" },
    json: { help: "as JSON" },
  },
};

test("an absent option has its fallback, a given one its value", () => {
  expect(parseArguments([], program)).toEqual({
    kind: "run",
    values: { url: "http://127.0.0.1:8000", key: "from-environment", count: 7, json: false },
  });
  expect(parseArguments(["--count", "3", "--json", "--key=k", "--url", "https://host/base/"], program)).toEqual({
    kind: "run",
    values: { url: "https://host/base", key: "k", count: 3, json: true },
  });
});

test("a wrong value is refused in one line that names option, value and what is allowed", () => {
  expect(parseArguments(["--count", "11"], program)).toEqual({
    kind: "wrong",
    message: '--count "11": not allowed; use 1 to 10',
  });
  for (const argv of [["--unknown", "1"], ["stray"], ["--count"], ["--json=1"]]) {
    const parsed = parseArguments(argv, program);
    expect(parsed.kind).toBe("wrong");
    if (parsed.kind === "wrong") expect(parsed.message).not.toContain("\n");
  }
});

test("help names every option, and never the secret", () => {
  const parsed = parseArguments(["--help", "--count", "99"], program);
  expect(parsed.kind).toBe("help");
  if (parsed.kind !== "help") return;
  for (const name of Object.keys(program.options)) expect(parsed.text).toContain(`--${name}`);
  expect(parsed.text).not.toContain("from-environment");
});

test("numbers and addresses are whole texts within their bounds", () => {
  expect(["5", "0", "11", "5x", "1e1", "", "2.5"].map(integerBetween(1, 10))).toEqual([5, ...Array(6).fill(undefined)]);
  expect(["0.5", "5", "0.01", "-1", ".5", "NaN"].map(numberBetween(0.1, 10))).toEqual([
    0.5,
    5,
    ...Array(4).fill(undefined),
  ]);
  expect(["http://h:1//", "ftp://h", "h:80", ""].map(parseServiceUrl)).toEqual([
    "http://h:1",
    undefined,
    undefined,
    undefined,
  ]);
});

test("an outage is a fraction, a start and a length", () => {
  expect(parseOutage("0.25@30+60")).toEqual({ fraction: 0.25, fromMs: 30_000, forMs: 60_000 });
  expect(["1.1@1+1", "0.1@1", "0.1+1@1", "x@1+1", ""].map(parseOutage)).toEqual(Array(5).fill(undefined));
});
