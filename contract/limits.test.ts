import { expect, test } from "bun:test";
import { isEvent } from "../server/ingest/validate.ts";
import { isLonger, limits } from "./limits.ts";

test("what may be asked for by name is as long as what is taken in, whatever it is written in", () => {
  const max = limits.deviceIdCharacters;
  for (const character of ["a", "é", "e\u0301", "漢", "😀", "👨‍👩‍👧‍👦"]) {
    for (const count of [1, max / 2, max / 2 + 1, max - 1, max, max + 1, 2 * max]) {
      const deviceId = character.repeat(count);
      expect(isLonger(deviceId, max)).toBe(!isEvent({ device_id: deviceId, event_type: "t" }));
    }
  }
});
