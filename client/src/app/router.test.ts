import { describe, expect, test } from "bun:test";
import { decodeDeviceSegment } from "../../../contract/device-path.ts";
import { applyParams, devicePath, followedSearch, parseRoute } from "./router.ts";

const pages = [
  { name: "live", path: "/" },
  { name: "devices", path: "/devices" },
  { name: "device", path: "/devices/:id" },
  { name: "explore", path: "/explore" },
];
const route = (path: string) => parseRoute(pages, path);

describe("routes", () => {
  test("every page has its path", () => {
    expect(route("/").page).toBe("live");
    expect(route("/devices").page).toBe("devices");
    expect(route("/explore/").page).toBe("explore");
  });
  test("a device id of any characters survives its path, dots and all", () => {
    for (const id of ["a", "a/b", "ü 100% ?#", ".", "..", "~", "~.", "~~..", "...", "名前"]) {
      const { page, params } = route(new URL(devicePath(id), "http://sluice.test").pathname);
      expect({ page, id: decodeDeviceSegment(params.id ?? "") }).toEqual({ page: "device", id });
    }
  });
  test("what is not a page says so and never throws", () => {
    expect(route("/nope").page).toBe("not_found");
    expect(route("/devices/%E0%A4%A").page).toBe("not_found");
    expect(route("/devices/a/b").page).toBe("not_found");
  });
});

describe("query", () => {
  test("equal views have equal URLs, whatever the order of the clicks", () => {
    const one = applyParams(applyParams("", { sort: "rate" }), { q: "temp" });
    const two = applyParams(applyParams("", { q: "temp" }), { sort: "rate" });
    expect(one).toBe(two);
  });
  test("a default leaves the URL", () => expect(applyParams("?q=a&sort=b", { q: undefined, sort: "" })).toBe(""));
  test("what belongs to the viewer follows to the next page: look, time range and part of the fleet", () =>
    expect(followedSearch("?q=x&tz=utc&from=now-6h&meta.site=a&sort=b")).toBe("?from=now-6h&meta.site=a&tz=utc"));
});
