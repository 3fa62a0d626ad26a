import Type, { type Static } from "typebox";

export const EventError = Type.Object({
  index: Type.Integer({ description: "position of the event in the request, from 0" }),
  path: Type.String({ description: "JSON pointer into the event; empty for the event itself" }),
  message: Type.String(),
});
export type EventError = Static<typeof EventError>;

export const IngestAnswer = Type.Object({
  status: Type.Union([Type.Literal("queued"), Type.Literal("stored")]),
  event_count: Type.Integer(),
  rejected: Type.Optional(
    Type.Array(EventError, { description: "what is wrong with the events left out; at most 100" }),
  ),
  rejected_count: Type.Optional(Type.Integer({ description: "how many events were left out" })),
});
export type IngestAnswer = Static<typeof IngestAnswer>;
