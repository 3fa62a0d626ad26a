import { expect, test } from "bun:test";
import fc from "fast-check";
import { Attempts } from "./attempts.ts";
import { TokenBucket } from "./token-bucket.ts";

test("takes a second's worth at once, then as much as time gives back", () => {
  let nowMs = 0;
  const bucket = new TokenBucket({ ratePerSecond: 100 }, () => nowMs);
  expect(bucket.tryTake(100)).toBe(true);
  expect(bucket.tryTake(1)).toBe(false);
  nowMs = 10;
  expect(bucket.tryTake(1)).toBe(true);
  expect(bucket.tryTake(1)).toBe(false);
  expect(bucket.state(50)).toEqual({ limit: 100, remaining: 0, resetSeconds: 1, retrySeconds: 1 });
});

test("an amount larger than the bucket passes when the bucket is full, and is paid for", () => {
  let nowMs = 0;
  const bucket = new TokenBucket({ ratePerSecond: 100 }, () => nowMs);
  expect(bucket.tryTake(1_000)).toBe(true);
  expect(bucket.state(1)).toEqual({ limit: 100, remaining: 0, resetSeconds: 10, retrySeconds: 10 });
  nowMs = 8_900;
  expect(bucket.tryTake(1)).toBe(false);
  nowMs = 9_100;
  expect(bucket.tryTake(1)).toBe(true);
});

test("over any time, no more than the rate, one second's burst and the overhang of one batch", () => {
  const step = fc.record({ waitMs: fc.nat(400), amount: fc.integer({ min: 1, max: 500 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let nowMs = 0;
      let taken = 0;
      const bucket = new TokenBucket({ ratePerSecond: 100 }, () => nowMs);
      for (const { waitMs, amount } of steps) {
        nowMs += waitMs;
        if (bucket.tryTake(amount)) taken += amount;
      }
      return taken <= 100 + nowMs / 10 + 500;
    }),
  );
});

test("who waits as long as the answer says is taken", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1 }),
      (rate, amounts) => {
        let nowMs = 0;
        const bucket = new TokenBucket({ ratePerSecond: rate }, () => nowMs);
        for (const amount of amounts) {
          if (bucket.tryTake(amount)) continue;
          nowMs += bucket.state(amount).retrySeconds * 1_000;
          if (!bucket.tryTake(amount)) return false;
        }
        return true;
      },
    ),
  );
});

test("ten wrong sign-ins, then one in ten seconds; other addresses are not concerned", () => {
  let nowMs = 0;
  const attempts = new Attempts(() => nowMs);
  for (let index = 0; index < 10; index++) {
    expect(attempts.waitSeconds("192.0.2.1")).toBe(0);
    attempts.failed("192.0.2.1");
  }
  expect(attempts.waitSeconds("192.0.2.1")).toBe(10);
  expect(attempts.waitSeconds("::ffff:192.0.2.1")).toBe(10);
  expect(attempts.waitSeconds("192.0.2.2")).toBe(0);
  nowMs = 10_000;
  expect(attempts.waitSeconds("192.0.2.1")).toBe(0);
});

test("an IPv6 neighbourhood counts as one address, however it is written", () => {
  const attempts = new Attempts(() => 0);
  for (let index = 0; index < 10; index++) attempts.failed(`2001:db8:0:1::${index}`);
  expect(attempts.waitSeconds("2001:db8:0:1:ffff:ffff:ffff:ffff")).toBeGreaterThan(0);
  expect(attempts.waitSeconds("2001:db8:0:2::1")).toBe(0);
});

test("remembers at most so many addresses, whoever comes", () => {
  const attempts = new Attempts(() => 0);
  for (let index = 0; index < 30_000; index++)
    attempts.failed(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`);
  expect(attempts.addresses).toBeLessThanOrEqual(10_000);
});
