import { makeEventListener } from "@solid-primitives/event-listener";
import { type Accessor, createEffect, createSignal, on, onCleanup } from "solid-js";
import type { ApiFailure, ApiResult } from "./api.ts";

export interface Query<T> {
  /** The last good answer; it stays while a newer one is asked for, and when that fails. */
  data: Accessor<T | undefined>;
  /** Why the last request failed; undefined after a good one. */
  failure: Accessor<ApiFailure | undefined>;
  loading: Accessor<boolean>;
  /** When `data` was answered, epoch ms. */
  atMs: Accessor<number | undefined>;
  refresh(): void;
}

interface QueryOptions {
  /** Asks again this long after each answer while the page is visible; undefined: not until the source changes. */
  everyMs?: number | (() => number | undefined);
  /** Drop the old data when the source changes; by default it stays until the new is there. */
  clear?: boolean;
}

/** What an `ask` gives when there is nothing to ask for yet. */
export const notAsked: ApiFailure = { ok: false, reason: "aborted", status: 0, code: "aborted", message: "" };

/** After a failure that passes by itself: the service or ClickHouse is starting, or is away for a while. */
const retryFirstMs = 1_000;
const retryMaxMs = 10_000;

function passes(failure: ApiFailure): boolean {
  return failure.reason === "unreachable" || failure.status === 503 || failure.status === 502;
}

/**
 * Asks whenever `source` changes, again every `everyMs`, and never twice at once: a new source aborts the old request,
 * a slow answer delays the next one.
 */
export function createQuery<S, T>(
  source: Accessor<S>,
  ask: (source: S, signal: AbortSignal) => Promise<ApiResult<T>>,
  options: QueryOptions = {},
): Query<T> {
  const [data, setData] = createSignal<T>();
  const [failure, setFailure] = createSignal<ApiFailure>();
  const [loading, setLoading] = createSignal(true);
  const [atMs, setAtMs] = createSignal<number>();
  let running: AbortController | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let current: S;
  let failures = 0;

  const run = async (): Promise<void> => {
    clearTimeout(timer);
    running?.abort();
    const control = new AbortController();
    running = control;
    setLoading(true);
    const answer = await ask(current, control.signal);
    if (control.signal.aborted) return;
    running = undefined;
    setLoading(false);
    if (answer.ok) {
      failures = 0;
      setData(() => answer.data);
      setFailure(undefined);
      setAtMs(Date.now());
    } else if (answer.reason !== "aborted") {
      failures += 1;
      setFailure(answer);
    }
    if (document.hidden) return;
    const waitMs = nextMs(answer.ok ? undefined : answer);
    if (waitMs !== undefined) timer = setTimeout(() => void run(), waitMs);
  };
  const nextMs = (failure: ApiFailure | undefined): number | undefined => {
    const { everyMs } = options;
    const usualMs = typeof everyMs === "function" ? everyMs() : everyMs;
    if (!failure || !passes(failure)) return usualMs;
    return Math.min(usualMs ?? retryMaxMs, retryMaxMs, retryFirstMs * 2 ** Math.min(failures - 1, 8));
  };

  createEffect(
    on(source, (next) => {
      current = next;
      if (options.clear) setData(undefined);
      void run();
    }),
  );
  makeEventListener(document, "visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (!running && (failures > 0 || options.everyMs !== undefined)) void run();
  });
  onCleanup(() => {
    clearTimeout(timer);
    running?.abort();
  });
  return { data, failure, loading, atMs, refresh: () => void run() };
}
