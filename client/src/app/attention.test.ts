import { expect, test } from "bun:test";
import { noVitals } from "../live/figures.ts";
import { attentionTo } from "./attention.ts";

test("a healthy fleet says nothing", () =>
  expect(attentionTo("live", noVitals, 0)).toEqual({ tone: "calm", count: 0, words: "" }));
test("silent devices are in the title and on the icon", () =>
  expect(attentionTo("live", { ...noVitals, silent: 38 }, 0)).toEqual({ tone: "warn", count: 38, words: "38 silent" }));
test("an alert comes before what it is about", () =>
  expect(attentionTo("live", { ...noVitals, silent: 38 }, 1)).toMatchObject({ count: 1, words: "1 alert, 38 silent" }));
test("without a connection, old numbers are not repeated", () =>
  expect(attentionTo("reconnecting", { ...noVitals, silent: 38 }, 2).words).toBe("No connection"));
test("events that are not stored are said", () =>
  expect(attentionTo("degraded", { ...noVitals, clickhouse: "unavailable" }, 0)).toMatchObject({
    tone: "bad",
    words: "Not stored",
  }));
