import { list, text } from "./kinds.ts";
import { group, type Values } from "./setting.ts";

export const protocols = group("Other protocols", {
  influxDeviceTags: {
    variable: "INFLUX_DEVICE_TAGS",
    fallback: "device_id,device,host,hostname",
    kind: list(text("tag names, comma-separated")),
    help: "line protocol: the first of these tags that a line has names its device; none: the database or bucket does",
  },
  otlpDeviceAttributes: {
    variable: "OTLP_DEVICE_ATTRIBUTES",
    fallback: "device.id,service.instance.id,host.id,host.name,service.name",
    kind: list(text("attribute names, comma-separated")),
    help: "OTLP: the first of these attributes that a resource has names its device",
  },
});

export type ProtocolSettings = Values<typeof protocols>;
