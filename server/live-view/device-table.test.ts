import { expect, test } from "bun:test";
import { createRandom } from "../../base/random.ts";
import { DeviceTable } from "./device-table.ts";

test.each([1, 2, 3, (Math.random() * 2 ** 31) | 0])(
  "counts as brute force does, while devices come and go (seed %i)",
  (seed) => {
    const random = createRandom(seed);
    const integer = (below: number) => Math.floor(random() * below);
    let now = 1_767_225_600;
    const table = new DeviceTable(now - 600);
    const newest = new Map<string, number>();
    const devices = Array.from({ length: 4000 }, () => [integer(2 ** 32), integer(2 ** 32)] as const);
    // Equal in one half of the hash, to collide.
    for (let index = 0; index < 500; index++) devices.push([7, index], [index, 7]);
    for (let step = 0; step < 60_000; step++) {
      const [a, b] = devices[integer(devices.length)] as readonly [number, number];
      const second = now - 650 + integer(950);
      table.observe(a, b, second);
      const key = `${a} ${b}`;
      if (second >= now - 600) newest.set(key, Math.max(second, newest.get(key) ?? 0));
      if (step % 50 === 0) {
        now += random() < 0.02 ? integer(900) : integer(3);
        table.advance(now - 600);
        table.sweep();
        let active = 0;
        for (const seen of newest.values()) if (seen >= now - 600) active++;
        expect(table.active).toBe(active);
      }
    }
  },
);

test("expired devices are swept, so a fleet that changes all the time takes no more room", () => {
  let now = 10_000;
  const table = new DeviceTable(now - 600);
  let device = 0;
  for (let step = 0; step < 3000; step++) {
    for (let index = 0; index < 20; index++) table.observe(Math.imul(device, 0x9e3779b1) >>> 0, device++, now);
    now++;
    table.advance(now - 600);
    table.sweep();
    expect(table.used).toBeLessThan(30_000);
  }
  expect(table.active).toBe(600 * 20);
});

test("past its maximum it says so, and still counts those it knows", () => {
  const table = new DeviceTable(1000, 100);
  for (let device = 0; device < 150; device++) table.observe(device, device, 2000);
  expect(table.active).toBe(100);
  expect(table.overflowed).toBe(true);
  for (let device = 0; device < 100; device++) table.observe(device, device, 2001);
  table.advance(2001);
  expect(table.active).toBe(100);
});
