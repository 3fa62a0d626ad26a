import { type Accessor, batch, createMemo, createSignal, onCleanup } from "solid-js";
import type { AlertsUpdate } from "../../../contract/alerts.ts";
import type { Change } from "../../../contract/fleet.ts";
import type { Pipeline, Update } from "../../../contract/stream.ts";
import type { Api } from "../api/api.ts";
import type { KeptData } from "../pwa/kept-data.ts";
import { type Arrivals, makeArrivals } from "./arrivals.ts";
import { watchBrowser } from "./browser-events.ts";
import { mergeChanges } from "./changes-feed.ts";
import { type ConnectionView, describeConnection } from "./connection.ts";
import { figuresOf, type LiveFigures, noVitals, sameVitals, type Vitals, vitalsOf } from "./figures.ts";
import { createLiveRings } from "./live-rings.ts";
import { createLiveRows } from "./live-rows.ts";
import { makePast } from "./past.ts";
import type { Rings } from "./rings.ts";
import type { LiveRow } from "./row.ts";
import { browserSharedStreamDeps, makeSharedStream } from "./shared-stream.ts";
import type { SseState } from "./sse.ts";
import { makeMessageReader } from "./stream-messages.ts";

const streamUrl = "/dashboard-stream?limit=200";

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
  const [changes, setChanges] = createSignal<readonly Change[]>([]);
  const [alerts, setAlerts] = createSignal<AlertsUpdate>();
  const [vitals, setVitals] = createSignal<Vitals>(noVitals, { equals: sameVitals });
  let holder = true;
  const liveRings = createLiveRings();
  const { rings } = liveRings;
  const arrivals = makeArrivals(liveRings, keptData, () => holder);
  const [kept, setKept] = createSignal(arrivals.latest !== undefined);
  const page = createPage(arrivals, rings);
  const past = makePast({
    canAsk: () => Number.isFinite(rings.newest()),
    async ask() {
      const filled = await liveRings.backfill((query) => api.get("/api/history", query), {
        types: page.typeCount(),
        writeDelaySeconds: arrivals.latest?.pipeline.store_lag_seconds ?? 0,
      });
      if (filled) page.schedule();
      return filled;
    },
  });

  const onUpdate = (update: Update): void => {
    const resumed = arrivals.receive(update);
    setVitals(vitalsOf(update));
    if (resumed) {
      setKept(false);
      past.miss();
      // The first numbers must be on the page before the chart's past is asked for.
      requestAnimationFrame(() => void past.fill());
    }
    page.showLatest();
    arrivals.keepNowAndThen();
  };
  const stream = makeSharedStream(browserSharedStreamDeps(api.base + streamUrl), {
    onMessage: makeMessageReader({
      onUpdate,
      onChanges: (update) => setChanges((known) => mergeChanges(known, update.changes)),
      onAlerts: setAlerts,
    }),
    onState(next) {
      if (next.kind !== "open") arrivals.interrupt();
      setState(next);
    },
    onAlive: () => undefined,
    onRole(isHolder) {
      holder = isHolder;
    },
  });
  if (arrivals.latest) page.showLatest();

  const timer = setInterval(() => {
    setNowMs(Date.now());
    if (state().kind === "open") page.moveOn();
    void past.fill();
  }, 1_000);
  watchBrowser({
    setOnline,
    keep: arrivals.keep,
    retry: () => stream.retryNow(),
    shown() {
      setNowMs(Date.now());
      page.showLatest();
    },
  });
  onCleanup(() => {
    clearInterval(timer);
    page.stop();
    stream.stop();
  });

  return {
    figures: page.figures,
    pipeline: page.pipeline,
    rows: page.rows,
    edgeSeconds: page.edgeSeconds,
    onFlush: page.onFlush,
    mode: page.mode,
    setMode: page.setMode,
    connection: createConnection({ state, online, nowMs, page, arrivals }),
    changes,
    alerts,
    vitals,
    rings,
    wantPast: past.want,
    nowMs,
    clockOffsetMs: () => arrivals.offsetMs,
    kept,
    online,
    retryNow: () => stream.retryNow(),
  };
}

type Page = ReturnType<typeof createPage>;

/** What the page shows: the newest arrival, once a frame, unless it is paused. */
function createPage(arrivals: Arrivals, rings: Rings) {
  const [figures, setFigures] = createSignal<LiveFigures>();
  const [pipeline, setPipeline] = createSignal<Pipeline>();
  const [mode, setMode] = createSignal<PlayMode>("play");
  const liveRows = createLiveRows();
  const listeners = new Set<() => void>();
  let pending: Update | undefined;
  let frame = 0;
  let shownEdge = Number.NEGATIVE_INFINITY;

  function flush(): void {
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
  }

  function schedule(): void {
    if (frame === 0) frame = requestAnimationFrame(flush);
  }

  function showLatest(): void {
    if (arrivals.latest) pending = arrivals.latest;
    schedule();
  }

  return {
    figures,
    pipeline,
    rows: liveRows.rows,
    typeCount: () => liveRows.count(),
    edgeSeconds: () => shownEdge,
    mode,
    setMode(next: PlayMode): void {
      setMode(next);
      if (next !== "pause") showLatest();
    },
    onFlush(listener: () => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    schedule,
    showLatest,
    /** Connected and quiet, the charts still move on: nothing new is also news. */
    moveOn(): void {
      if (arrivals.isBroken || mode() === "pause" || !Number.isFinite(rings.newest())) return;
      const second = Math.floor((Date.now() + arrivals.offsetMs) / 1000) - 2;
      if (second <= rings.newest()) return;
      rings.advance(second, true);
      schedule();
    },
    stop: () => cancelAnimationFrame(frame),
  };
}

function createConnection(of: {
  readonly state: Accessor<SseState>;
  readonly online: Accessor<boolean>;
  readonly nowMs: Accessor<number>;
  readonly page: Page;
  readonly arrivals: Arrivals;
}): Accessor<ConnectionView> {
  return createMemo(
    () =>
      describeConnection({
        state: of.state(),
        online: of.online() || of.state().kind === "open",
        nowMs: of.nowMs(),
        dataAtMs: of.page.figures() ? of.arrivals.latestAtMs : undefined,
        clickhouse: of.page.pipeline()?.clickhouse,
        starting: of.page.pipeline()?.starting === true,
      }),
    undefined,
    { equals: (a, b) => a.kind === b.kind && a.detail === b.detail && a.label === b.label },
  );
}
