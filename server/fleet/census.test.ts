import { describe, expect, test } from "bun:test";
import { hashDeviceId } from "../../contract/row.ts";
import { type CensusFilter, countFacets, countGroups, type Roll } from "./census.ts";
import { DeviceRegister } from "./device-register.ts";

const all: CensusFilter = { search: "", metadata: [], status: undefined };
const pause = async (): Promise<void> => undefined;

function rollOf(register: DeviceRegister): Roll {
  return {
    get size() {
      return register.size;
    },
    name: (device) => register.name(device),
    profile: (device) => register.profile(device),
    isSilent: (device) => register.silent[device] === 1,
  };
}

function createFleet(count: number, metadataOf: (device: number) => Record<string, string>): DeviceRegister {
  const register = new DeviceRegister();
  for (let index = 0; index < count; index++) {
    const name = `site${index % 5}-device-${index}`;
    const device = register.add(...hashDeviceId(name));
    register.setName(device, name);
    register.setProfile(device, metadataOf(index));
    register.silent[device] = index % 10 === 0 ? 1 : 0;
  }
  return register;
}

describe("the census", () => {
  const register = createFleet(1_000, (index) =>
    index % 100 === 99
      ? {}
      : { site: `s${index % 5}`, firmware: index % 4 === 0 ? "2" : "1", serial: String(index), __proto__x: "y" },
  );
  const roll = rollOf(register);

  test("counts groups with their silent, devices without the key as a group of their own", async () => {
    const { groups, total } = await countGroups(roll, all, "site", pause);
    expect(total).toBe(6);
    expect(groups.find((group) => group.value === null)).toEqual({ value: null, devices: 10, online: 10, silent: 0 });
    expect(groups.find((group) => group.value === "s0")).toEqual({
      value: "s0",
      devices: 200,
      online: 100,
      silent: 100,
    });
    expect(groups.reduce((sum, group) => sum + group.devices, 0)).toBe(1_000);
  });

  test("facets leave out keys that name devices, unless they are asked for", async () => {
    const facets = await countFacets(roll, all, [], pause);
    expect(facets).toMatchObject({ devices: 1_000, silent: 100 });
    expect(facets.facets.map((facet) => facet.key)).toEqual(["__proto__x", "firmware", "site"]);
    expect(facets.facets[1]).toMatchObject({ devices: 990, distinct: 2 });
    const asked = await countFacets(roll, all, ["serial"], pause);
    expect(asked.facets.map(({ key, distinct, values }) => [key, distinct, values.length])).toEqual([
      ["serial", 990, 20],
    ]);
  });

  test("takes part of a name, metadata and status as conditions", async () => {
    const count = async (filter: Partial<CensusFilter>) =>
      (await countFacets(roll, { ...all, ...filter }, [], pause)).devices;
    expect(await count({ search: "SITE3-" })).toBe(200);
    expect(await count({ metadata: [["site", ["s0", "s1"]]] })).toBe(400);
    expect(await count({ metadata: [["site", [""]]] })).toBe(10);
    expect(await count({ metadata: [["toString", ["x"]]] })).toBe(0);
    expect(
      await count({
        metadata: [
          ["site", ["s0"]],
          ["firmware", ["2"]],
        ],
      }),
    ).toBe(50);
    expect(await count({ status: "silent" })).toBe(100);
    expect(await count({ search: "nothing like it" })).toBe(0);
  });
});

test("facets of 100,000 devices take a fraction of the 300 ms that they may", async () => {
  const register = createFleet(100_000, (index) => ({
    site: `s${index % 50}`,
    firmware: String(index % 9),
    model: "T1000",
    serial: String(index),
  }));
  const roll = rollOf(register);
  const startedMs = process.cpuUsage().user / 1000;
  const facets = await countFacets(roll, { ...all, search: "site" }, [], pause);
  const tookMs = process.cpuUsage().user / 1000 - startedMs;
  expect(facets.facets.map((facet) => [facet.key, facet.distinct])).toEqual([
    ["firmware", 9],
    ["model", 1],
    ["site", 50],
  ]);
  expect(tookMs).toBeLessThan(300);
});

test("the register gives back the metadata that no device has any more, and keeps within its bounds", () => {
  const register = new DeviceRegister(3);
  const devices = ["a", "b", "c"].map((name) => register.add(...hashDeviceId(name)));
  expect(register.add(...hashDeviceId("d"))).toBe(-1);
  for (const device of devices) register.setProfile(device, { site: "north" });
  expect(register.countWith("site", "north")).toBe(3);
  for (const device of devices) register.setProfile(device, { site: "south" });
  expect([register.countWith("site", "north"), register.countWith("site", "south")]).toEqual([0, 3]);
  register.setProfile(devices[0] as number, { long: "x".repeat(5_000) });
  expect(register.profile(devices[0] as number)).toBeNull();
  expect(register.find(...hashDeviceId("b"))).toBe(devices[1] as number);
  expect(register.find(...hashDeviceId("nobody"))).toBe(-1);
});
