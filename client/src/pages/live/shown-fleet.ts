import { type Accessor, createEffect, createMemo, on } from "solid-js";
import type { PartUpdate } from "../../../../contract/stream.ts";
import type { ApiFailure, Query } from "../../api/api.ts";
import { createQuery, notAsked } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import type { FleetFilter } from "../../app/fleet-filter.ts";
import { figuresOf, type LiveFigures } from "../../live/figures.ts";
import { createLiveRows } from "../../live/live-rows.ts";
import type { LiveRow } from "../../live/row.ts";

/** What Live is about: the whole fleet, from the stream, or the filtered part of it, from what is stored. */
export interface ShownFleet {
  isPart: Accessor<boolean>;
  /** Undefined until they are known. */
  figures: Accessor<LiveFigures | undefined>;
  /** Changes only when a type comes or goes. */
  rows: Accessor<LiveRow[]>;
  /** Why the figures of the part are missing or old. */
  failure: Accessor<ApiFailure | undefined>;
}

const everyMs = 2_000;
/** A part of a large fleet takes ClickHouse a while: at most this share of the time. */
const busyShare = 0.2;
const typesMax = 200;

/** Under a Solid owner. */
export function createShownFleet(filter: FleetFilter): ShownFleet {
  const { api, live } = useApp();
  const partRows = createLiveRows();
  let tookMs = 0;
  const part = createQuery<Query, PartUpdate>(
    filter.query,
    async (meta, signal) => {
      if (!filter.active()) return notAsked;
      const startedMs = performance.now();
      const answer = await api.get("/api/live", { ...meta, limit: String(typesMax) }, signal);
      tookMs = performance.now() - startedMs;
      return answer;
    },
    { everyMs: () => (filter.active() ? Math.max(everyMs, tookMs / busyShare) : undefined), clear: true },
  );
  // A paused page goes on asking, as the stream goes on arriving, and shows nothing of it.
  const shown = createMemo<PartUpdate | undefined>((previous) => {
    const data = part.data();
    return live.mode() === "pause" && previous !== undefined && data !== undefined ? previous : data;
  });
  createEffect(on(shown, (update) => partRows.apply(update?.aggregations ?? [])));
  const partFigures = createMemo(() => {
    const update = shown();
    return update && figuresOf(update);
  });
  return {
    isPart: filter.active,
    figures: () => (filter.active() ? partFigures() : live.figures()),
    rows: () => (filter.active() ? partRows.rows() : live.rows()),
    failure: () => (filter.active() ? part.failure() : undefined),
  };
}
