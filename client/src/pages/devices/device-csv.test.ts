import { expect, test } from "bun:test";
import type { Device } from "../../../../contract/read.ts";
import { columnsNamed, usualColumns } from "./device-columns.ts";
import { devicesCsv } from "./device-csv.ts";

const device: Device = {
  device_id: '=cmd|"x"',
  first_seen: "2026-01-01T00:00:00.000Z",
  last_seen: "2026-01-02T00:00:00.000Z",
  event_count: 12,
  status: "silent",
  interval_seconds: 2.5,
  metadata: { site: "Rotterdam, 3" },
};

test("the file has the chosen columns, safe for a spreadsheet", () =>
  expect(devicesCsv([device], columnsNamed(["status", "event_count", "meta.site", "availability"], ["site"]))).toBe(
    'device_id,status,event_count,meta.site\r\n"\'=cmd|""x""",silent,12,"Rotterdam, 3"\r\n',
  ));
test("a key that no device has now is still a column", () =>
  expect(columnsNamed(["meta.rack"], ["site"]).map(({ label }) => label)).toEqual(["rack"]));
test("until someone chooses, where a device is and what runs on it come first", () =>
  expect(usualColumns(["battery_kind", "firmware", "run", "site"]).filter((name) => name.startsWith("meta."))).toEqual([
    "meta.site",
    "meta.firmware",
  ]));
