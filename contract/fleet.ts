import Type, { type Static } from "typebox";

const NullableNumber = Type.Union([Type.Number(), Type.Null()]);
const NullableText = Type.Union([Type.String(), Type.Null()]);
const Cursor = Type.Union([Type.String(), Type.Null()], {
  description: "pass as ?cursor= for the next page; null at the end",
});

/** What happens to one device. */
export const deviceChangeKinds = ["silent", "online", "new", "metadata"] as const;
/** The same of a group of devices at once: all of `site-4` fell silent, say. Such a change has no device of its own. */
export const groupChangeKinds = ["outage", "recovery", "arrival", "rollout"] as const;
export const changeKinds = [...deviceChangeKinds, ...groupChangeKinds] as const;
export const ChangeKind = Type.Union([
  Type.Literal("silent"),
  Type.Literal("online"),
  Type.Literal("new"),
  Type.Literal("metadata"),
  Type.Literal("outage"),
  Type.Literal("recovery"),
  Type.Literal("arrival"),
  Type.Literal("rollout"),
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
      { description: "what the devices of a group change have in common; absent: nothing but the moment" },
    ),
  ),
  devices: Type.Optional(Type.Integer({ description: "of a group change: how many devices it is about" })),
  of: Type.Optional(Type.Integer({ description: "of a group change: how many devices the group, or the fleet, has" })),
  folded: Type.Optional(Type.Boolean({ description: "of a device: a group change stands for this one" })),
});
export type ChangeDetail = Static<typeof ChangeDetail>;

export const Change = Type.Object({
  at: Type.String({ description: "ISO 8601 UTC with milliseconds" }),
  kind: ChangeKind,
  device_id: NullableText,
  detail: ChangeDetail,
});
export type Change = Static<typeof Change>;

/**
 * GET /api/changes, newest first. Without `kind` (may repeat) what happened to devices; with `fold=1` group changes stand for the
 * devices that they are about.
 */
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
