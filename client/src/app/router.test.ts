import { describe, expect, test } from "bun:test";
import { applyParams, devicePath, followedSearch, parseRoute } from "./router.ts";

describe("routes", () => {
  test("every page has its path", () => {
    expect(parseRoute("/")).toEqual({ page: "live" });
    expect(parseRoute("/devices")).toEqual({ page: "devices" });
    expect(parseRoute("/explore/")).toEqual({ page: "explore" });
    expect(parseRoute("/pipeline")).toEqual({ page: "pipeline" });
  });
  test("a device id of any characters survives its path", () => {
    for (const id of ["a", "a/b", "ü 100% ?#", "..", "名前"]) {
      expect(parseRoute(devicePath(id))).toEqual({ page: "device", id });
    }
  });
  test("what is not a page says so and never throws", () => {
    expect(parseRoute("/nope").page).toBe("not_found");
    expect(parseRoute("/devices/%E0%A4%A").page).toBe("not_found");
    expect(parseRoute("/devices/a/b").page).toBe("not_found");
  });
});

describe("query", () => {
  test("equal views have equal URLs, whatever the order of the clicks", () => {
    const one = applyParams(applyParams("", { sort: "rate" }), { q: "temp" });
    const two = applyParams(applyParams("", { q: "temp" }), { sort: "rate" });
    expect(one).toBe(two);
  });
  test("a default leaves the URL", () => expect(applyParams("?q=a&sort=b", { q: undefined, sort: "" })).toBe(""));
  test("only what belongs to the viewer follows to the next page", () =>
    expect(followedSearch("?q=x&tz=utc&wall=1")).toBe("?tz=utc&wall=1"));
});
