import { makeEventListener } from "@solid-primitives/event-listener";
import { type Accessor, batch, createMemo, createSignal, onCleanup } from "solid-js";
import type { AlertsUpdate } from "../../../contract/alerts.ts";
import type { Change } from "../../../contract/fleet.ts";
import type { Pipeline, Update } from "../../../contract/stream.ts";
import type { Api } from "../api/api.ts";
import type { KeptData } from "../pwa/kept-data.ts";
import { mergeChanges } from "./changes-feed.ts";
import { type ConnectionView, describeConnection } from "./connection.ts";
import { figuresOf, type LiveFigures, noVitals, sameVitals, type Vitals, vitalsOf } from "./figures.ts";
import { createLiveRings } from "./live-rings.ts";
import { createLiveRows } from "./live-rows.ts";
import type { Rings } from "./rings.ts";
import type { LiveRow } from "./row.ts";
import { browserSharedStreamDeps, makeSharedStream, type SharedStream } from "./shared-stream.ts";
import type { SseMessage, SseState } from "./sse.ts";
import { parseAlertsUpdate, parseChangesUpdate, parseUpdate } from "./update.ts";

const streamUrl = "/dashboard-stream?limit=200";
const keepEveryMs = 30_000;

type PlayMode = "play" | "pause" | "force";

export interface Live {
  connection: Accessor<ConnectionView>;
  /** Undefined until the first update, fresh or kept. */
  figures: Accessor<LiveFigures | undefined>;
  pipeline: Accessor<Pipeline | undefined>;
  /** Changes only when a type comes or goes. */
  rows: Accessor<LiveRow[]>;
  /** What has happened to devices since the page was opened, newest first. */
  changes: Accessor<readonly Change[]>;
  /** Alerts that fire now; undefined until the service says. */
  alerts: Accessor<AlertsUpdate | undefined>;
  /** For the tab's title, its icon and the navigation: current on a paused or hidden page too. */
  vitals: Accessor<Vitals>;
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
  const [changes, setChanges] = createSignal<readonly Change[]>([]);
  const [alerts, setAlerts] = createSignal<AlertsUpdate>();
  const [vitals, setVitals] = createSignal<Vitals>(noVitals, { equals: sameVitals });
  const [mode, setModeSignal] = createSignal<PlayMode>("play");
  const [kept, setKept] = createSignal(false);
  const { rings, ...filling } = createLiveRings();
  const liveRows = createLiveRows();
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

  const flush = (): void => {
    frame = 0;
    if (mode() === "pause") return;
    const update = pending;
    pending = undefined;
    if (update) {
      batch(() => {
        liveRows.apply(update.aggregations);
        setFigures(figuresOf(update));
        setPipeline(update.pipeline);
      });
    }
    shownEdge = rings.newest();
    for (const listener of listeners) listener();
  };
  const schedule = (): void => {
    if (frame === 0) frame = requestAnimationFrame(flush);
  };

  const backfill = async (): Promise<void> => {
    if (!pastWanted || !pastMissing || !Number.isFinite(rings.newest())) return;
    pastMissing = false;
    const filled = await filling.backfill((query) => api.get("/api/history", query), {
      types: liveRows.count(),
      writeDelaySeconds: latest?.pipeline.store_lag_seconds ?? 0,
    });
    if (filled) schedule();
    else pastMissing = true;
  };

  const receive = (update: Update): void => {
    const now = Date.now();
    offsetMs = Date.parse(update.timestamp) - now;
    filling.receive(update, broken);
    setVitals(vitalsOf(update));
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
    keptData.save({ atMs: latestAtMs, update: latest, rings: filling.snapshot(latest) });
  };

  const onMessage = (message: SseMessage): void => {
    if (message.event === "changes") {
      const update = parseChangesUpdate(message.data);
      if (update) setChanges((known) => mergeChanges(known, update.changes));
    } else if (message.event === "alerts") {
      const update = parseAlertsUpdate(message.data);
      if (update) setAlerts(update);
    } else if (message.event === "update") {
      const now = Date.now();
      // A hidden tab shows nobody anything: one update a second is enough for its rings and its title.
      if (document.hidden && now - parsedAtMs < 1_000) return;
      parsedAtMs = now;
      const update = parseUpdate(message.data);
      if (!update) return;
      receive(update);
    }
  };

  const stream: SharedStream = makeSharedStream(browserSharedStreamDeps(api.base + streamUrl), {
    onMessage,
    onState(next) {
      if (next.kind !== "open") broken = true;
      setState(next);
    },
    onAlive: () => undefined,
    onRole(isHolder) {
      holder = isHolder;
    },
  });
  const earlier = keptData.load();
  if (earlier) {
    latestAtMs = earlier.atMs;
    filling.restore(earlier.rings, Date.parse(earlier.update.timestamp));
    setKept(true);
    latest = earlier.update;
    pending = earlier.update;
    schedule();
  }

  /** Connected and quiet, the charts still move on: nothing new is also news. */
  const moveOn = (): void => {
    if (state().kind !== "open" || broken || mode() === "pause" || !Number.isFinite(rings.newest())) return;
    const second = Math.floor((Date.now() + offsetMs) / 1000) - 2;
    if (second <= rings.newest()) return;
    rings.advance(second, true);
    schedule();
  };
  const timer = setInterval(() => {
    setNowMs(Date.now());
    moveOn();
    if (pastMissing) void backfill();
  }, 1_000);
  watchBrowser({
    setOnline,
    keep,
    retry: () => stream.retryNow(),
    shown() {
      setNowMs(Date.now());
      if (latest) pending = latest;
      schedule();
    },
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
      return describeConnection({
        state: state(),
        online: online() || open,
        nowMs: nowMs(),
        dataAtMs: shownAtMs,
        clickhouse: pipeline()?.clickhouse,
        starting: pipeline()?.starting === true,
      });
    },
    undefined,
    { equals: (a, b) => a.kind === b.kind && a.detail === b.detail && a.label === b.label },
  );

  return {
    connection,
    figures,
    pipeline,
    rows: liveRows.rows,
    changes,
    alerts,
    vitals,
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
      if (next === "pause") return;
      if (latest) pending = latest;
      schedule();
    },
    nowMs,
    clockOffsetMs: () => offsetMs,
    kept,
    online,
    retryNow: () => stream.retryNow(),
  };
}

interface BrowserReactions {
  setOnline(online: boolean): void;
  keep(): void;
  retry(): void;
  /** The tab can be seen again. */
  shown(): void;
}

function watchBrowser({ setOnline, keep, retry, shown }: BrowserReactions): void {
  makeEventListener(window, "online", () => {
    setOnline(true);
    retry();
  });
  makeEventListener(window, "offline", () => setOnline(false));
  makeEventListener(window, "pagehide", keep);
  makeEventListener(document, "visibilitychange", () => {
    if (document.hidden) keep();
    else {
      retry();
      shown();
    }
  });
}
