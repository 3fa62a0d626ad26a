import { makeEventListener } from "@solid-primitives/event-listener";
import { type Accessor, batch, createMemo, createSignal, onCleanup } from "solid-js";
import type { AlertsUpdate } from "../../../contract/alerts.ts";
import type { Pipeline, Update } from "../../../contract/stream.ts";
import type { Api } from "../api/api.ts";
import type { KeptData } from "../pwa/kept-data.ts";
import { type ConnectionView, describeConnection } from "./connection.ts";
import { createRings, type Rings } from "./rings.ts";
import { createLiveRow, type LiveRow } from "./row.ts";
import { browserSharedStreamDeps, makeSharedStream } from "./shared-stream.ts";
import type { SseState } from "./sse.ts";
import { historyRates, parseAlerts, parseUpdate } from "./update.ts";

const streamUrl = "/dashboard-stream?limit=200";
/** Live charts reach this far back; the server's window is as long. */
const liveSeconds = 600;
/** The ring's name for the sum of all types; no event type can be empty. */
export const totalName = "";
const keepEveryMs = 30_000;
/** The most series that /api/history answers. */
const historySeriesMax = 50;
const storeLagSeconds = 5;
/**
 * The stream's rate is a mean of ten seconds, so finer steps would show nothing more; and some 1,000 points in all,
 * whatever the number of types, are a quick answer on a phone too.
 */
function backfillStepSeconds(types: number): number {
  return [10, 15].find((step) => (Math.min(types, historySeriesMax) * liveSeconds) / step <= 1_000) ?? 30;
}

type PlayMode = "play" | "pause" | "force";

interface LiveFigures {
  rate: number;
  eventCount: number;
  activeDevices: number;
  eventTypes: number;
  windowSeconds: number;
  /** The server's time of the update on the page, epoch ms. */
  timestampMs: number;
}

export interface Live {
  connection: Accessor<ConnectionView>;
  /** Undefined until the first update, fresh or kept. */
  figures: Accessor<LiveFigures | undefined>;
  pipeline: Accessor<Pipeline | undefined>;
  /** What fires now; undefined until the service has said. */
  alerts: Accessor<AlertsUpdate | undefined>;
  /** Changes only when a type comes or goes. */
  rows: Accessor<LiveRow[]>;
  row(type: string): LiveRow | undefined;
  rings: Rings;
  /** The right edge of the live charts, server's clock, epoch seconds. Stands still while paused or cut off. */
  edgeSeconds(): number;
  /** A chart wants the seconds before this page was open; from now on they are asked for whenever they are missing. */
  wantPast(): void;
  /** Called after each flush to the page, at stream rate at most. Returns its removal. */
  onFlush(listener: () => void): () => void;
  mode: Accessor<PlayMode>;
  setMode(mode: PlayMode): void;
  /** The browser's clock, once a second. */
  nowMs: Accessor<number>;
  /** Server's clock minus the browser's, ms. */
  clockOffsetMs(): number;
  /** The data on the page was kept from an earlier visit. */
  kept: Accessor<boolean>;
  online: Accessor<boolean>;
  retryNow(): void;
}

interface LiveDeps {
  api: Api;
  keptData: KeptData;
}

/**
 * The page's one live source: shared stream → rings and plain latest values on arrival → signals once a frame.
 * Must be called under a Solid owner; it stops with it.
 */
export function createLive({ api, keptData }: LiveDeps): Live {
  const [state, setState] = createSignal<SseState>({ kind: "connecting" });
  const [online, setOnline] = createSignal(navigator.onLine);
  const [nowMs, setNowMs] = createSignal(Date.now());
  const [figures, setFigures] = createSignal<LiveFigures>();
  const [pipeline, setPipeline] = createSignal<Pipeline>();
  const [alerts, setAlerts] = createSignal<AlertsUpdate>();
  const [rows, setRows] = createSignal<LiveRow[]>([]);
  const [mode, setModeSignal] = createSignal<PlayMode>("play");
  const [kept, setKept] = createSignal(false);
  const [aliveAtMs, setAliveAtMs] = createSignal<number>();

  const rings = createRings({ seconds: liveSeconds + 60, typesMax: 256 });
  const rowOf = new Map<string, LiveRow>();
  const listeners = new Set<() => void>();

  let pending: Update | undefined;
  let latest: Update | undefined;
  let latestAtMs = 0;
  let frame = 0;
  let shownEdge = Number.NEGATIVE_INFINITY;
  let offsetMs = 0;
  /** The stream broke since the last update: the time between is a gap. */
  let broken = true;
  let holder = true;
  let keptAtMs = 0;
  let parsedAtMs = 0;
  let pastWanted = false;
  let pastMissing = false;

  const show = (update: Update): void => {
    let changed = false;
    const seen = new Set<string>();
    batch(() => {
      for (const aggregate of update.aggregations) {
        seen.add(aggregate.event_type);
        const row = rowOf.get(aggregate.event_type);
        if (row) row.apply(aggregate);
        else {
          rowOf.set(aggregate.event_type, createLiveRow(aggregate));
          changed = true;
        }
      }
      if (seen.size < rowOf.size) {
        for (const type of rowOf.keys()) {
          if (!seen.has(type)) rowOf.delete(type);
        }
        changed = true;
      }
      if (changed) setRows([...rowOf.values()]);
      setFigures({
        rate: update.totals.rate,
        eventCount: update.totals.event_count,
        activeDevices: update.totals.active_devices,
        eventTypes: update.totals.event_types,
        windowSeconds: update.window_seconds,
        timestampMs: Date.parse(update.timestamp),
      });
      setPipeline(update.pipeline);
    });
  };

  const flush = (): void => {
    frame = 0;
    if (mode() === "pause") return;
    if (pending) {
      show(pending);
      pending = undefined;
    }
    shownEdge = rings.newest();
    for (const listener of listeners) listener();
  };
  const schedule = (): void => {
    if (frame === 0) frame = requestAnimationFrame(flush);
  };

  /** Seconds that this page was not there to see, filled from the stored history. Live values are never overwritten. */
  const backfill = async (): Promise<void> => {
    if (!pastWanted || !pastMissing) return;
    const to = rings.newest();
    if (!Number.isFinite(to)) return;
    const step = backfillStepSeconds(rowOf.size);
    const query = {
      // A step and a mean more, so that the first seconds shown are not means over what was not asked for.
      from: isoSecond(Math.floor((to - liveSeconds) / step - 1) * step),
      to: isoSecond(to),
      step: String(step),
      limit: String(historySeriesMax),
    };
    pastMissing = false;
    const answer = await api.get("/api/history", query);
    if (!answer.ok) {
      pastMissing = true;
      return;
    }
    const series = historyRates(answer.data, to - storeLagSeconds);
    const total = new Map<number, number>();
    for (const { type, firstSecond, rates } of series) {
      // What came in the last seconds is not all stored yet; the live rate is a mean over them and is the better figure.
      const newest = rings.get(type, rings.newest());
      for (let second = firstSecond; second <= to; second++) {
        const value = rates[second - firstSecond] ?? newest;
        if (Number.isNaN(value)) continue;
        total.set(second, (total.get(second) ?? 0) + value);
        if (Number.isNaN(rings.get(type, second))) rings.set(type, second, value);
      }
    }
    // With more types than a history answers, their sum is not the total.
    if (series.length >= rowOf.size) {
      for (const [second, value] of total) {
        if (Number.isNaN(rings.get(totalName, second))) rings.set(totalName, second, value);
      }
    }
    schedule();
  };

  const receive = (update: Update): void => {
    const now = Date.now();
    const timestampMs = Date.parse(update.timestamp);
    const second = Math.floor(timestampMs / 1000);
    offsetMs = timestampMs - now;
    rings.advance(second, !broken);
    rings.zeroNewest();
    for (const aggregate of update.aggregations) rings.set(aggregate.event_type, second, aggregate.rate);
    rings.set(totalName, second, update.totals.rate);
    const resumed = broken;
    broken = false;
    latest = update;
    latestAtMs = now;
    pending = update;
    if (resumed) {
      setKept(false);
      pastMissing = true;
      // The first numbers must be on the page before the chart's past is asked for.
      requestAnimationFrame(() => void backfill());
    }
    schedule();
    if (holder && now - keptAtMs > keepEveryMs) keep();
  };

  const keep = (): void => {
    if (!latest || !holder || kept()) return;
    keptAtMs = Date.now();
    keptData.save({ atMs: latestAtMs, update: latest, rings: snapshotRings(rings, latest) });
  };

  // Ten times a second would wake every age on the page for nothing.
  const setAlive = (now: number): void => {
    if (now - (aliveAtMs() ?? 0) > 900) setAliveAtMs(now);
  };

  const stream = makeSharedStream(browserSharedStreamDeps(streamUrl), {
    onMessage(message) {
      if (message.event === "alerts") {
        setAlerts(parseAlerts(message.data));
        return;
      }
      if (message.event !== "update") return;
      const now = Date.now();
      setAlive(now);
      // A hidden tab shows nobody anything: one update a second is enough for its rings.
      if (document.hidden && now - parsedAtMs < 1_000) return;
      parsedAtMs = now;
      const update = parseUpdate(message.data);
      if (update) receive(update);
    },
    onState(next) {
      if (next.kind !== "open") broken = true;
      setState(next);
    },
    onAlive: () => setAlive(Date.now()),
    onRole(isHolder) {
      holder = isHolder;
    },
  });
  const earlier = keptData.load();
  if (earlier) {
    latestAtMs = earlier.atMs;
    restoreRings(rings, earlier.rings, Date.parse(earlier.update.timestamp));
    setKept(true);
    latest = earlier.update;
    pending = earlier.update;
    schedule();
  }

  const timer = setInterval(() => {
    setNowMs(Date.now());
    // Connected and quiet, the charts still move on: nothing new is also news.
    if (state().kind === "open" && !broken && mode() !== "pause" && Number.isFinite(rings.newest())) {
      const second = Math.floor((Date.now() + offsetMs) / 1000) - 1;
      if (second > rings.newest()) {
        rings.advance(second, true);
        schedule();
      }
    }
  }, 1_000);

  makeEventListener(window, "online", () => {
    setOnline(true);
    stream.retryNow();
  });
  makeEventListener(window, "offline", () => setOnline(false));
  makeEventListener(window, "pagehide", keep);
  makeEventListener(document, "visibilitychange", () => {
    setNowMs(Date.now());
    if (document.hidden) keep();
    else {
      stream.retryNow();
      if (latest) pending = latest;
      schedule();
    }
  });
  onCleanup(() => {
    clearInterval(timer);
    cancelAnimationFrame(frame);
    stream.stop();
  });

  const connection = createMemo(
    () => {
      const open = state().kind === "open";
      const shownAtMs = figures() ? latestAtMs : undefined;
      return describeConnection({ state: state(), online: online() || open, nowMs: nowMs(), dataAtMs: shownAtMs });
    },
    undefined,
    { equals: (a, b) => a.kind === b.kind && a.detail === b.detail },
  );

  return {
    connection,
    figures,
    pipeline,
    alerts,
    rows,
    row: (type) => rowOf.get(type),
    rings,
    edgeSeconds: () => shownEdge,
    wantPast() {
      pastWanted = true;
      void backfill();
    },
    onFlush(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    mode,
    setMode(next) {
      setModeSignal(next);
      if (next !== "pause") {
        if (latest) pending = latest;
        schedule();
      }
    },
    nowMs,
    clockOffsetMs: () => offsetMs,
    kept,
    online,
    retryNow: () => stream.retryNow(),
  };
}

function isoSecond(second: number): string {
  return new Date(second * 1000).toISOString();
}

/** The lines of the chart as it was, for an offline reload: the largest types only. */
function snapshotRings(rings: Rings, update: Update): Record<string, (number | null)[]> {
  const out = new Float32Array(liveSeconds);
  const names = [totalName, ...update.aggregations.slice(0, 8).map((row) => row.event_type)];
  return Object.fromEntries(
    names.map((name) => {
      rings.copyLast(name, liveSeconds, out);
      return [name, Array.from(out, (value) => (Number.isNaN(value) ? null : Math.round(value * 100) / 100))];
    }),
  );
}

function restoreRings(rings: Rings, kept: Record<string, (number | null)[]>, timestampMs: number): void {
  const newest = Math.floor(timestampMs / 1000);
  rings.advance(newest, false);
  for (const [name, values] of Object.entries(kept)) {
    values.forEach((value, index) => {
      if (value !== null) rings.set(name, newest - values.length + 1 + index, value);
    });
  }
}
