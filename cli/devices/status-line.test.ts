import { expect, test } from "bun:test";
import { createStatusLine } from "./status-line.ts";

test("off a terminal a status is told once in a while, and a line that stays always", () => {
  let nowMs = 0;
  const written: string[] = [];
  const line = createStatusLine({ write: (text) => written.push(text) }, { quietMs: 1000, now: () => nowMs });
  for (nowMs = 0; nowMs < 2500; nowMs += 500) line.status(`at ${nowMs}`);
  line.say("news");
  line.close();
  expect(written).toEqual(["at 1000\n", "at 2000\n", "news\n"]);
});

test("on a terminal the status is rewritten in place, never wraps, and makes room for a line that stays", () => {
  const written: string[] = [];
  const output = { isTTY: true, columns: 11, write: (text: string) => written.push(text) };
  const line = createStatusLine(output, { quietMs: 1000, now: () => 0 });
  line.status("0123456789abc");
  line.say("news");
  line.status("more");
  line.close();
  line.close();
  expect(written.join("")).toBe("\r\x1b[2K0123456789\r\x1b[2Knews\n\r\x1b[2Kmore\n");
});
