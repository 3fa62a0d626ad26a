import Type, { type Static } from "typebox";
import { limits } from "./limits.ts";

/** POST /api/sql */
export const SqlQuestion = Type.Object(
  {
    query: Type.String({ minLength: 1, maxLength: limits.sqlCharacters, description: "one SELECT" }),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.sqlRows, description: "rows; default 1,000" })),
  },
  { additionalProperties: false },
);
export type SqlQuestion = Static<typeof SqlQuestion>;

/** The answer: ClickHouse's JSONCompact, cut off after `limit` rows. */
export const SqlAnswer = Type.Object({
  meta: Type.Array(Type.Object({ name: Type.String(), type: Type.String() })),
  data: Type.Array(Type.Array(Type.Unknown())),
  rows: Type.Integer(),
  truncated: Type.Boolean({ description: "there are more rows than `limit`" }),
  statistics: Type.Object({ elapsed: Type.Number(), rows_read: Type.Integer(), bytes_read: Type.Integer() }),
});
export type SqlAnswer = Static<typeof SqlAnswer>;
