import { type Accessor, createMemo } from "solid-js";
import type { History } from "../../../../contract/read.ts";
import type { ApiResult } from "../../api/api.ts";
import { createQuery, type Query } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { createFleetFilter, type FleetFilter } from "../../app/fleet-filter.ts";
import type { TimeRange } from "../../app/time-expression.ts";
import { createTimeRange, type TimeRangeState } from "../../app/time-range-state.ts";
import { chartPoints, refreshMs, stepSeconds } from "../../charts/ask-history.ts";
import { seriesMax } from "../../charts/palette.ts";
import { withoutUnfinished } from "./explore-series.ts";
import { brushPoints, decodeTypes, encodeTypes, type Metric, metrics, surroundings } from "./explore-view.ts";

/** What Explore asks: all of it is in the URL. */
export interface ExploreView {
  time: TimeRangeState;
  filter: FleetFilter;
  metric: Accessor<Metric>;
  types: Accessor<string[]>;
  toggleType(type: string, on: boolean): void;
  device: Accessor<string>;
  /** The metadata key whose values get a line each; empty for none. */
  split: Accessor<string>;
  compare: Accessor<boolean>;
  set(changes: { metric?: Metric; device?: string; split?: string; compare?: boolean }): void;
}

/** Must be called under a Solid owner. */
export function createExploreView(): ExploreView {
  const { router } = useApp();
  const types = createMemo(() => decodeTypes(router.param("types")));
  return {
    time: createTimeRange("now-1h"),
    filter: createFleetFilter(router),
    metric: () => metrics.find((each) => each.value === router.param("metric"))?.value ?? "rate",
    types,
    toggleType(type, on) {
      const next = on ? [...types(), type] : types().filter((each) => each !== type);
      router.setParams({ types: encodeTypes(next) }, { push: true });
    },
    device: () => router.param("device"),
    split: () => router.param("split"),
    compare: () => router.param("compare") !== "",
    set(changes) {
      const params: Record<string, string | undefined> = {};
      if (changes.metric !== undefined) params.metric = changes.metric === "rate" ? undefined : changes.metric;
      if (changes.device !== undefined) params.device = changes.device.trim() || undefined;
      if (changes.split !== undefined) params.split = changes.split || undefined;
      if (changes.compare !== undefined) params.compare = changes.compare ? "1" : undefined;
      router.setParams(params, { push: true });
    },
  };
}

export interface ExploreAnswer {
  now: History;
  /** The same length of time before, when it is compared. */
  before: History | undefined;
  spanMs: number;
  fromMs: number;
  toMs: number;
}

export interface ExploreData {
  main: Query<ExploreAnswer>;
  /** The range in its surroundings. */
  around: Query<{ bounds: TimeRange; history: History }>;
  /** Types that can be chosen: the fleet's in the range, or the chosen device's own. */
  typeNames: Accessor<readonly { event_type: string; event_count: number }[]>;
}

/** Must be called under a Solid owner. */
export function createExploreData(view: ExploreView): ExploreData {
  const { api, live } = useApp();
  const serverNow = (): number => Date.now() + live.clockOffsetMs();
  const range = view.time.bounds;
  const ask = (wanted: TimeRange, points: number, signal: AbortSignal): Promise<ApiResult<History>> =>
    api.get(
      "/api/history",
      {
        event_type: view.types(),
        device_id: view.device(),
        ...view.filter.query(),
        split: view.split() === "" ? undefined : `meta.${view.split()}`,
        from: new Date(wanted.fromMs).toISOString(),
        to: new Date(wanted.toMs).toISOString(),
        limit: String(seriesMax),
        step: String(stepSeconds(wanted, points)),
      },
      signal,
    );
  const key = createMemo(() =>
    JSON.stringify([view.time.spec(), view.types(), view.device(), view.split(), view.compare(), view.filter.query()]),
  );
  const everyMs = (): number => refreshMs(view.time.spanMs());
  const main = createQuery(
    key,
    async (_, signal): Promise<ApiResult<ExploreAnswer>> => {
      const now = range();
      const spanMs = now.toMs - now.fromMs;
      const points = chartPoints(innerWidth);
      const [answer, before] = await Promise.all([
        ask(now, points, signal),
        view.compare() ? ask({ fromMs: now.fromMs - spanMs, toMs: now.fromMs }, points, signal) : undefined,
      ]);
      if (!answer.ok) return answer;
      if (before && !before.ok) return before;
      const { from, to } = answer.data;
      const data = { now: withoutUnfinished(answer.data), before: before?.data, spanMs };
      return { ok: true, data: { ...data, fromMs: Date.parse(from), toMs: Date.parse(to) } };
    },
    { everyMs },
  );
  const around = createQuery(
    key,
    async (_, signal) => {
      const bounds = surroundings(range(), serverNow());
      const answer = await ask(bounds, brushPoints, signal);
      return answer.ok ? { ok: true, data: { bounds, history: withoutUnfinished(answer.data) } } : answer;
    },
    { everyMs: () => everyMs() * 4 },
  );
  const typeList = createQuery(
    createMemo(() => JSON.stringify([view.time.spec(), view.device()])),
    async (_, signal) => {
      if (view.device() !== "") {
        const answer = await api.get(`/api/devices/${encodeURIComponent(view.device())}`, {}, signal);
        return answer.ok ? { ok: true as const, data: answer.data.event_types } : answer;
      }
      const { fromMs, toMs } = range();
      const asked = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
      const answer = await api.get("/api/event-types", asked, signal);
      return answer.ok ? { ok: true as const, data: answer.data.event_types } : answer;
    },
  );
  const typeNames = createMemo(() => {
    const known: readonly { event_type: string; event_count: number }[] = typeList.data() ?? [];
    const missing = view.types().filter((type) => !known.some((each) => each.event_type === type));
    return [...missing.map((event_type) => ({ event_type, event_count: 0 })), ...known];
  });
  return { main, around, typeNames };
}
