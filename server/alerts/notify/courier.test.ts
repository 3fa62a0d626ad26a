import { describe, expect, test } from "bun:test";
import type { ChannelHealth, ChannelRecord, DeliveryState } from "../state/records.ts";
import { type Attempt, Courier, waitingMax } from "./courier.ts";
import { nextAttemptMs, retryAfterMs, triedForMs } from "./schedule.ts";

const content = {
  type: "alert.firing",
  createdMs: 0,
  labels: {},
  groupKey: "",
  repeat: false,
  test: false,
  alerts: [],
} as const;
const unreachable: Attempt = { ok: false, kind: "unreachable", message: "ECONNREFUSED", retryAfter: null };
const later = (retryAfter: string): Attempt => ({ ...unreachable, message: "answered 429", retryAfter });

/** A courier with a clock that is moved by hand; `answers` says how each attempt goes. */
function setUp(answers: (id: string, atMs: number) => Attempt, random = () => 1) {
  let nowMs = 0;
  const timers = new Map<number, { run: () => void; atMs: number }>();
  let nextTimer = 1;
  const attempts: string[] = [];
  const left = new Map<string, DeliveryState | null>();
  let health: ChannelHealth = { disabled: null, delivered: 0, dropped: 0, lastError: null, failing: false };
  const record = () =>
    ({
      id: "c",
      source: "api",
      channel: { name: "c", kind: "webhook" },
      createdMs: 0,
      updatedMs: 0,
      health,
    }) as ChannelRecord;
  const courier = new Courier(
    {
      channel: record,
      content: () => content,
      send: async ({ id }) => {
        attempts.push(`${nowMs / 1000} ${id}`);
        return answers(id, nowMs);
      },
      settle(id, delivery, next) {
        left.set(id, delivery);
        health = next;
      },
      now: () => nowMs,
      random,
      setTimer(run, delayMs) {
        timers.set(nextTimer, { run, atMs: nowMs + delayMs });
        return nextTimer++;
      },
      clearTimer: (timer) => void timers.delete(timer as number),
    },
    [],
  );
  let sequence = 0;
  return {
    courier,
    attempts,
    left,
    health: () => health,
    setHealth(next: Partial<ChannelHealth>) {
      health = { ...health, ...next };
    },
    add(id: string) {
      courier.add({
        id,
        sequence: ++sequence,
        createdMs: nowMs,
        delivery: { attempts: 0, nextMs: nowMs, refused: false },
      });
    },
    async to(ms: number) {
      for (;;) {
        for (let turn = 0; turn < 30; turn++) await Promise.resolve();
        const due = [...timers].sort((a, b) => a[1].atMs - b[1].atMs)[0];
        if (due === undefined || due[1].atMs > ms) break;
        timers.delete(due[0]);
        nowMs = Math.max(nowMs, due[1].atMs);
        due[1].run();
      }
      nowMs = ms;
    },
  };
}

describe("one channel's messages", () => {
  test("go in their order, one attempt each when the receiver takes them", async () => {
    const { add, attempts, to, health } = setUp(() => ({ ok: true }));
    for (const id of ["a", "b", "c"]) add(id);
    await to(1_000);
    expect(attempts).toEqual(["0 a", "0 b", "0 c"]);
    expect(health().delivered).toBe(3);
  });

  test("are tried at growing pauses, the oldest alone, and all follow once it has arrived", async () => {
    let isUp = false;
    const { add, attempts, to, courier } = setUp(() => (isUp ? { ok: true } : unreachable));
    add("a");
    await to(5_000);
    await to(305_000);
    add("b");
    await to(400_000);
    isUp = true;
    await to(305_000 + 1_800_000);
    expect(attempts).toEqual(["0 a", "5 a", "305 a", "306 a", "2105 a", "2105 b"].map((line) => line));
    expect(courier.waiting).toBe(0);
  });

  test("a recovery does not overtake its alarm", async () => {
    const { add, attempts, to } = setUp((_, atMs) => (atMs < 10_000 ? unreachable : { ok: true }));
    add("firing");
    await to(20_000);
    add("resolved");
    await to(30_000);
    expect(attempts).toEqual(["0 firing", "5 firing", "20 firing", "20 resolved"]);
  });

  test("one that the receiver refuses does not stop the others, and is tried again later", async () => {
    const refusal: Attempt = { ok: false, kind: "refused", message: "answered 400", retryAfter: null };
    const { add, attempts, to } = setUp((id) => (id === "bad" ? refusal : { ok: true }));
    add("bad");
    add("good");
    await to(5_000);
    expect(attempts).toEqual(["0 bad", "0 good", "5 bad"]);
  });

  test("Retry-After is waited for, whatever comes meanwhile", async () => {
    const { add, attempts, to } = setUp((_, atMs) => (atMs < 1_000 ? later("120") : { ok: true }));
    add("a");
    await to(60_000);
    add("b");
    await to(119_000);
    expect(attempts).toEqual(["0 a"]);
    await to(121_000);
    expect(attempts).toEqual(["0 a", "120 a", "120 b"]);
  });

  test("410 switches the channel off; what waits is kept", async () => {
    const { add, to, health, courier, attempts } = setUp(() => ({
      ok: false,
      kind: "gone",
      message: "410",
      retryAfter: null,
    }));
    add("a");
    add("b");
    await to(1_000_000);
    expect(attempts).toEqual(["0 a"]);
    expect(health().disabled).toBe("410");
    expect(courier.waiting).toBe(2);
  });

  test("after three days it is given up, and counted", async () => {
    const { add, to, health, left, attempts } = setUp(() => unreachable);
    add("a");
    await to(30 * 86_400_000);
    expect(health().dropped).toBe(1);
    expect(left.get("a")).toBeNull();
    expect(attempts.length).toBe(10);
  });

  test("more than can wait push out the oldest", async () => {
    const { add, courier, health, to } = setUp(() => unreachable);
    for (let index = 0; index <= waitingMax; index++) add(`m${index}`);
    await to(1);
    expect(courier.waiting).toBe(waitingMax);
    expect(health().dropped).toBe(1);
  });
});

test("pauses are jittered over their whole length, and add up to three days", () => {
  expect(triedForMs).toBe((75 * 60 + 35) * 60_000 + 5_000);
  expect(nextAttemptMs(1, 0, () => 0.5)).toBe(2_500);
  expect(nextAttemptMs(3, 0, () => 1)).toBe(1_800_000);
  expect(nextAttemptMs(99, 0, () => 1)).toBe(86_400_000);
});

test("Retry-After is seconds or a date, within reason", () => {
  expect(retryAfterMs("7", 0)).toBe(7_000);
  expect(retryAfterMs(new Date(90_000).toUTCString(), 0)).toBe(90_000);
  expect(retryAfterMs("soon", 0)).toBe(0);
  expect(retryAfterMs("999999999", 0)).toBe(86_400_000);
});
