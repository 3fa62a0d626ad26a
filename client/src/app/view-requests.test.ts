import { expect, test } from "bun:test";
import { viewRequests } from "./view-requests.ts";

test("a view asks for what its page asked for, once, whatever the time was", () =>
  expect(
    viewRequests([
      "/api/history?event_type=a%26b&from=1&to=2&step=10&limit=8",
      "/api/history?event_type=a%26b&from=3&to=4&step=10&limit=8",
      "/api/devices?meta.site=x&cursor=abc",
    ]),
  ).toEqual(["/api/history?event_type=a%26b", "/api/devices?meta.site=x", "/dashboard-stream"]));
