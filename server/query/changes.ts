import { Elysia } from "elysia";
import { type Change, type ChangeKind, type Changes, changeKinds, deviceChangeKinds } from "../../contract/fleet.ts";
import { limits } from "../../contract/limits.ts";
import { type CursorValues, decodeCursor, encodeCursor } from "./cursor.ts";
import { type MetadataFilter, matchingDevices, metadataParameters } from "./metadata-filter.ts";
import { choice, choices, cursor, range, readParameters, text, whole, withDefault } from "./parameters.ts";
import type { Query, Reader } from "./reader.ts";
import { answer, invalidParameter, jsonAnswer } from "./refusal.ts";

export const changesParameters = {
  ...range,
  kind: choices("may repeat; without it, what happened to devices one by one", changeKinds),
  device_id: text("of one device", limits.deviceIdCharacters),
  fold: choice("1: a group's change stands for the devices that it is about", ["0", "1"]),
  ...metadataParameters,
  limit: withDefault(whole("changes of a page", 1, limits.pageMax), limits.pageDefault),
  cursor,
};

interface ChangesAsk {
  readonly kinds: readonly ChangeKind[];
  readonly deviceId: string | undefined;
  /** Of devices whose newest metadata matches. */
  readonly metadata: MetadataFilter;
  readonly fold: boolean;
  readonly fromMs: number;
  /** Exclusive. */
  readonly toMs: number;
  readonly limit: number;
  readonly after: CursorValues | undefined;
}

/** GET /api/changes: what happened to devices, newest first. */
export function createChangeRoutes(deps: { reader: Reader; now: () => number }) {
  return new Elysia({ name: "changes" }).get("/api/changes", ({ request }) =>
    answer(request, async (signal) => {
      const given = readParameters(new URL(request.url), changesParameters);
      const { kind: asked, device_id: deviceId, limit, cursor, from, to, "meta.*": metadata } = given;
      const fold = given.fold === "1";
      const fromMs = from ?? 0;
      const toMs = to ?? deps.now() + futureMs;
      if (fromMs >= toMs) throw invalidParameter("from", "must be before `to`, which is now when it is not given");
      const kinds = asked.length > 0 ? asked : fold ? changeKinds : deviceChangeKinds;
      const scope = ["changes", kinds, deviceId ?? null, metadata, fold, from ?? null, to ?? null];
      const after = cursor === undefined ? undefined : decodeCursor(cursor, scope, ["integer", "string", "string"]);
      const ask = { kinds, deviceId, metadata, fold, fromMs, toMs, limit, after };
      const rows = await deps.reader.rows<ChangeRow>(createChangesQuery(ask), signal);
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      return jsonAnswer<Changes>({
        changes: page.map(createChange),
        cursor: rows.length > limit && last ? encodeCursor(scope, [last.at_ms, last.kind, last.subject]) : null,
      });
    }),
  );
}

/** A change may be noted a moment after "now" by another instance's clock. */
const futureMs = 60_000;

interface ChangeRow {
  at_ms: number;
  kind: ChangeKind;
  subject: string;
  detail: string;
}

/** Rows of one key are one change, merged or not. */
function createChangesQuery(ask: ChangesAsk): Query {
  const after =
    ask.after === undefined
      ? ""
      : "AND (toUnixTimestamp64Milli(at), kind, device_id) < ({at:Int64}, {kind:String}, {subject:String})";
  const device = ask.deviceId === undefined ? "" : "AND device_id = {device:String}";
  const part = ask.metadata.length === 0 ? null : ofPart(ask.metadata, ask.fold);
  const [atMs, kind, subject] = ask.after ?? [0, "", ""];
  return {
    sql: `
      SELECT toUnixTimestamp64Milli(at) AS at_ms, kind, device_id AS subject, detail FROM device_changes
      WHERE at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
        AND at <= fromUnixTimestamp64Milli({newest:Int64}, 'UTC')
        AND kind IN {kinds:Array(String)} ${device} ${after}
        ${part !== null ? `AND ${part.sql}` : ask.fold ? "AND NOT JSONHas(detail, 'folded')" : ""}
      ORDER BY at DESC, kind DESC, device_id DESC
      LIMIT 1 BY at, kind, device_id
      LIMIT {limit:UInt32}`,
    params: {
      ...part?.params,
      from: ask.fromMs,
      to: ask.toMs,
      newest: ask.after === undefined ? ask.toMs : Number(atMs),
      kinds: ask.kinds,
      device: ask.deviceId ?? "",
      at: atMs ?? 0,
      kind: kind ?? "",
      subject: subject ?? "",
      limit: ask.limit + 1,
    },
    rowsMax: ask.limit + 1,
  };
}

/**
 * What happened in a part of the fleet. A group's change counts all devices of its group, so it stands for them only where the
 * part is that group; devices of other groups are told one by one.
 */
function ofPart(filter: MetadataFilter, fold: boolean): { sql: string; params: Query["params"] } {
  const matching = matchingDevices(filter);
  const isDevice = "kind IN {deviceKinds:Array(String)}";
  const [only, ...more] = filter;
  const isGroup =
    only === undefined || more.length > 0
      ? "0"
      : "(JSONExtractString(detail, 'group', 'key') = {groupKey:String} AND " +
        "has({groupValues:Array(String)}, JSONExtractString(detail, 'group', 'value')))";
  return {
    sql: fold
      ? `if(${isDevice}, device_id IN (${matching.sql}) AND NOT (JSONHas(detail, 'folded') AND ${isGroup}), ${isGroup})`
      : `${isDevice} AND device_id IN (${matching.sql})`,
    params: {
      ...matching.params,
      deviceKinds: deviceChangeKinds,
      groupKey: only?.[0] ?? "",
      groupValues: only?.[1] ?? [],
    },
  };
}

const createChange = (row: ChangeRow): Change => ({
  at: new Date(row.at_ms).toISOString(),
  kind: row.kind,
  device_id: deviceChangeKinds.some((kind) => kind === row.kind) ? row.subject : null,
  // Written by this service (server/fleet/change-log.ts).
  detail: JSON.parse(row.detail) as Change["detail"],
});
