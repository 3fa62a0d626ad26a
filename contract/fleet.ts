import Type, { type Static } from "typebox";

const NullableNumber = Type.Union([Type.Number(), Type.Null()]);
const NullableText = Type.Union([Type.String(), Type.Null()]);
const Cursor = Type.Union([Type.String(), Type.Null()], {
  description: "pass as ?cursor= for the next page; null at the end",
});

/**
 * What can happen to a device. `outage` is a group of devices that fell silent together (all of `site-4`, say); it has no
 * device of its own.
 */
export const changeKinds = ["silent", "online", "new", "metadata", "outage"] as const;
export const ChangeKind = Type.Union([
  Type.Literal("silent"),
  Type.Literal("online"),
  Type.Literal("new"),
  Type.Literal("metadata"),
  Type.Literal("outage"),
]);
export type ChangeKind = Static<typeof ChangeKind>;

/** Which fields there are depends on the kind. */
export const ChangeDetail = Type.Object({
  last_seen: Type.Optional(Type.String({ description: "silent: when Sluice last heard from the device" })),
  interval_seconds: Type.Optional(NullableNumber),
  silent_seconds: Type.Optional(Type.Number({ description: "online: how long the silence was that has ended" })),
  changed: Type.Optional(
    Type.Record(Type.String(), Type.Object({ from: NullableText, to: NullableText }), {
      description: "metadata: the keys that differ; null where the key is absent",
    }),
  ),
  group: Type.Optional(
    Type.Object(
      { key: Type.String(), value: Type.String() },
      { description: "outage: what the devices share; silent: the outage that the device is part of" },
    ),
  ),
  devices: Type.Optional(Type.Integer({ description: "outage: how many devices fell silent" })),
  of: Type.Optional(Type.Integer({ description: "outage: how many devices the group has" })),
});
export type ChangeDetail = Static<typeof ChangeDetail>;

export const Change = Type.Object({
  at: Type.String({ description: "ISO 8601 UTC with milliseconds" }),
  kind: ChangeKind,
  device_id: NullableText,
  detail: ChangeDetail,
});
export type Change = Static<typeof Change>;

/** GET /api/changes, newest first. With `fold=1` an outage stands for the devices that it names. */
export const Changes = Type.Object({ changes: Type.Array(Change), cursor: Cursor });
export type Changes = Static<typeof Changes>;

/** `event: changes` of GET /dashboard-stream: what has just happened, folded, newest last; at most `limits.changesInUpdate`. */
export const ChangesUpdate = Type.Object({
  changes: Type.Array(Change),
  skipped: Type.Integer({ description: "changes left out of this update; GET /api/changes has them" }),
});
export type ChangesUpdate = Static<typeof ChangesUpdate>;

/** GET /api/devices?group=meta.KEY, largest first. Devices without the key are one group, whose value is null. */
export const DeviceGroups = Type.Object({
  key: Type.String(),
  groups: Type.Array(
    Type.Object({
      value: NullableText,
      devices: Type.Integer(),
      online: Type.Integer(),
      silent: Type.Integer(),
    }),
  ),
  total: Type.Integer({ description: "groups there are; the answer has at most `limits.deviceGroups`" }),
});
export type DeviceGroups = Static<typeof DeviceGroups>;

/** GET /api/facets: keys of the devices' newest metadata, without those that differ from event to event. */
export const Facets = Type.Object({
  devices: Type.Integer({ description: "devices that match `search` and the filter" }),
  silent: Type.Integer(),
  facets: Type.Array(
    Type.Object({
      key: Type.String(),
      devices: Type.Integer({ description: "devices that have the key" }),
      distinct: Type.Integer({ description: "different values of the key" }),
      values: Type.Array(Type.Object({ value: Type.String(), devices: Type.Integer(), silent: Type.Integer() }), {
        description: "the commonest, at most `limits.facetValues`",
      }),
    }),
  ),
});
export type Facets = Static<typeof Facets>;
