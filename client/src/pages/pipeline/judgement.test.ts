import { expect, test } from "bun:test";
import { judge } from "./judgement.ts";

const detail = { ready: true, reasons: [], dead_letters: { count: 0, newest: [] } } as unknown as Parameters<
  typeof judge
>[0];

test("all is well only when every event is stored", () => {
  expect(judge(detail).title).toBe("All systems operational");
  expect(judge({ ...detail, dead_letters: { count: 3, newest: [] } })).toMatchObject({
    tone: "warn",
    title: "Storing events, but not all of them",
  });
});
test("starting is a state of its own, and no fault", () =>
  expect(judge({ ...detail, starting: true, reasons: ["The engine is starting"] })).toMatchObject({
    tone: "info",
    title: "Starting",
  }));
test("a fault of storage is worse than dead letters, and refusing events worse than both", () => {
  const degraded = { ...detail, reasons: ["ClickHouse does not answer"], dead_letters: { count: 3, newest: [] } };
  expect(judge(degraded).title).toBe("Accepting events; storage degraded");
  expect(judge({ ...degraded, ready: false }).tone).toBe("bad");
});
