import { describe, expect, test } from "bun:test";
import { plainUnit, quantileUnit, unitOf } from "./units.ts";

describe("units", () => {
  test.each([
    ["memory_bytes", undefined, 1536, "1.5 KiB"],
    ["net_bytes_per_second", undefined, 1536, "1.5 KiB/s"],
    ["cpu_percent", undefined, 12.5, "12.50%"],
    ["temperature", "°C", 21.5, "21.50 °C"],
    ["temperature", "Cel", 21.5, "21.50 °C"],
    ["latency_ms", undefined, 1500, "1.5 s"],
    ["request.duration", "s", 0.25, "250 ms"],
    ["system.memory.usage", "By", 4 * 1024 ** 3, "4.0 GiB"],
    ["http.requests", "{request}", 3, "3.00"],
    ["requests", "1", 3, "3.00"],
    ["temperature", undefined, 21.5, "21.50"],
  ])("%s in %s", (type, unit, value, text) => expect(unitOf(type, unit).format(value)).toBe(text));
  test("what the events say wins over the name", () => expect(unitOf("cpu_percent", "ms").key).toBe("ms"));
  test("prose is no unit", () => expect(unitOf("depth", "metres above the sea")).toBe(plainUnit));
  test("a value that is not there is a dash in every unit", () => {
    for (const unit of ["B", "B/s", "s", "%", "°C"]) expect(unitOf("x", unit).format(null)).toBe("–");
  });
  test("quantiles have three digits in every unit", () => {
    expect(quantileUnit(unitOf("temperature", "°C")).format(21.4567)).toBe("21.5 °C");
    expect(quantileUnit(plainUnit).format(21.4567)).toBe("21.5");
    expect(quantileUnit(unitOf("x", "B")).format(1536)).toBe("1.5 KiB");
  });
  test("an axis is short", () => {
    expect(unitOf("temperature", "°C").formatAxis(20)).toBe("20 °C");
    expect(plainUnit.formatAxis(1234)).toBe("1,234");
    expect(plainUnit.formatAxis(34_000)).toBe("34K");
  });
});
