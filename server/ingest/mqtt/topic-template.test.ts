import { describe, expect, test } from "bun:test";
import { parseTopicTemplate } from "./topic-template.ts";

const match = (template: string, topic: string) => parseTopicTemplate(template)?.match(topic);

describe("topic templates", () => {
  test("names become the device, the type and metadata; the filter has their wildcards", () => {
    const template = parseTopicTemplate("plants/{plant}/{device_id}/{event_type}");
    expect(template?.filter).toBe("plants/+/+/+");
    expect(template?.match("plants/north/pump-7/pressure")).toEqual({
      deviceId: "pump-7",
      eventType: "pressure",
      metadata: { plant: "north" },
    });
    expect(template?.match("plants/north/pump-7")).toBeUndefined();
    expect(template?.match("plants/north/pump-7/pressure/raw")).toBeUndefined();
    expect(template?.match("offices/north/pump-7/pressure")).toBeUndefined();
  });

  test("{rest} takes what is left: as the type where there is none, else as metadata", () => {
    expect(parseTopicTemplate("tele/{device_id}/{rest}")?.filter).toBe("tele/+/#");
    expect(match("tele/{device_id}/{rest}", "tele/plug/energy/power")).toEqual({
      deviceId: "plug",
      eventType: "energy/power",
      metadata: {},
    });
    expect(match("d/{device_id}/{event_type}/{rest}", "d/a/b/c/d")).toEqual({
      deviceId: "a",
      eventType: "b",
      metadata: { rest: "c/d" },
    });
  });

  test("+ and # are passed over, a template may be a plain topic", () => {
    expect(match("+/{device_id}/#", "x/a/b/c")).toEqual({ deviceId: "a", metadata: {} });
    expect(match("events", "events")).toEqual({ metadata: {} });
  });

  test.each(["", "a/{}", "a/{b}c", "{rest}/a", "#/a", "a/#b", "{a}/{a}", "a/{1}", "a+b"])("no template: %p", (text) => {
    expect(parseTopicTemplate(text)).toBeUndefined();
  });
});
