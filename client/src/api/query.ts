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
  /** Asks again this long after each answer while the page is visible. */
  everyMs?: number | (() => number);
  /** Drop the old data when the source changes; by default it stays until the new is there. */
  clear?: boolean;
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
      setData(() => answer.data);
      setFailure(undefined);
      setAtMs(Date.now());
    } else if (answer.reason !== "aborted") setFailure(answer);
    if (options.everyMs !== undefined && !document.hidden) {
      timer = setTimeout(() => void run(), typeof options.everyMs === "number" ? options.everyMs : options.everyMs());
    }
  };

  createEffect(
    on(source, (next) => {
      current = next;
      if (options.clear) setData(undefined);
      void run();
    }),
  );
  if (options.everyMs !== undefined) {
    makeEventListener(document, "visibilitychange", () => {
      if (document.hidden) clearTimeout(timer);
      else if (!running) void run();
    });
  }
  onCleanup(() => {
    clearTimeout(timer);
    running?.abort();
  });
  return { data, failure, loading, atMs, refresh: () => void run() };
}
