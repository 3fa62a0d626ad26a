import { makeSse, type Sse, type SseMessage, type SseOptions, type SseState } from "./sse.ts";

/**
 * One stream for all tabs of a browser: HTTP/1.1 allows six connections to a host, and a seventh tab would hang.
 * The tab that holds the Web Lock has the stream and passes every message on over a BroadcastChannel. When that tab
 * goes, the lock passes to another, which resumes after the last message it saw.
 */
export type TabMessage =
  | { kind: "message"; message: SseMessage }
  | { kind: "state"; state: SseState }
  /** The holder's stream gave a sign of life. */
  | { kind: "alive" }
  /** A new tab asks for the latest message and state. */
  | { kind: "hello" }
  /** Someone signed in, or the network is back: the holder should try now. */
  | { kind: "retry" };

interface TabChannel {
  post(message: TabMessage): void;
  close(): void;
}

export interface SharedStreamDeps {
  openSse(options: SseOptions): Sse;
  /** Undefined where the browser has none: then every tab has its own stream. */
  openChannel: ((onMessage: (message: TabMessage) => void) => TabChannel) | undefined;
  /**
   * Runs `hold` while this tab has the lock, until its promise ends or `lost` aborts. `steal` takes it from a tab
   * that has it and has gone silent.
   */
  requestLock: (steal: boolean, signal: AbortSignal, hold: (lost: AbortSignal) => Promise<void>) => Promise<void>;
  setTimer: (run: () => void, everyMs: number) => () => void;
  now: () => number;
}

export interface SharedStreamHandlers {
  onMessage(message: SseMessage): void;
  onState(state: SseState): void;
  onAlive(): void;
  /** True while this tab has the stream itself. */
  onRole?(holder: boolean): void;
}

export interface SharedStream {
  retryNow(): void;
  stop(): void;
}

/** A holder that passes nothing on for this long, heartbeats included, is frozen: its lock is taken. */
const holderSilenceMaxMs = 20_000;

export function makeSharedStream(deps: SharedStreamDeps, handlers: SharedStreamHandlers): SharedStream {
  let holder = false;
  let sse: Sse | undefined;
  /** The newest of each kind of event: what a tab needs that was opened later. */
  const newest = new Map<string, SseMessage>();
  let lastEventId = "";
  const remember = (message: SseMessage): void => {
    newest.set(message.event, message);
    if (message.id !== "") lastEventId = message.id;
  };
  let state: SseState = { kind: "connecting" };
  let heardAtMs = deps.now();
  let stopped = false;
  const stop = new AbortController();

  const setState = (next: SseState): void => {
    state = next;
    handlers.onState(next);
  };

  const channel = deps.openChannel?.((message) => {
    if (stopped) return;
    if (message.kind === "hello") {
      if (!holder) return;
      channel?.post({ kind: "state", state });
      for (const message of newest.values()) channel?.post({ kind: "message", message });
      return;
    }
    if (message.kind === "retry") {
      retry();
      return;
    }
    if (holder) return;
    heardAtMs = deps.now();
    if (message.kind === "message") {
      // An answer to another tab's hello repeats what this one has.
      const known = newest.get(message.message.event);
      if (known && known.id === message.message.id && known.data === message.message.data) return;
      remember(message.message);
      handlers.onMessage(message.message);
    } else if (message.kind === "state") setState(message.state);
    else handlers.onAlive();
  });

  const hold = (lost: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (stopped) {
        resolve();
        return;
      }
      holder = true;
      handlers.onRole?.(true);
      const open = (): void => {
        sse = deps.openSse({
          ...(lastEventId === "" ? {} : { lastEventId }),
          onMessage(message) {
            remember(message);
            handlers.onMessage(message);
            channel?.post({ kind: "message", message });
          },
          onState(next) {
            setState(next);
            channel?.post({ kind: "state", state: next });
          },
          onAlive() {
            handlers.onAlive();
            // At stream rate the messages themselves are the sign; this one is for the quiet.
            if (deps.now() - alivePostedMs > 2_000) {
              alivePostedMs = deps.now();
              channel?.post({ kind: "alive" });
            }
          },
        });
      };
      let alivePostedMs = 0;
      reopen = () => {
        sse?.stop();
        open();
      };
      open();
      lost.addEventListener(
        "abort",
        () => {
          holder = false;
          // The new holder gets its time to be heard; without it, the two would take the lock from each other.
          heardAtMs = deps.now();
          handlers.onRole?.(false);
          sse?.stop();
          sse = undefined;
          resolve();
        },
        { once: true },
      );
    });
  let reopen: (() => void) | undefined;

  const retry = (): void => {
    if (!holder) return;
    if (state.kind === "unauthenticated") reopen?.();
    else sse?.retryNow();
  };

  let inLine = false;
  const compete = async (steal: boolean): Promise<void> => {
    if (!steal) {
      if (inLine) return;
      inLine = true;
    }
    await deps.requestLock(steal, stop.signal, hold);
    if (!steal) inLine = false;
    // The lock was taken from us by a tab that thought us dead: stand in line again.
    if (!stopped && !holder) {
      heardAtMs = deps.now();
      void compete(false);
    }
  };

  const cancelTimer = deps.setTimer(() => {
    if (holder) {
      // Quiet or waiting to reconnect, the others must still see that this tab lives.
      if (state.kind !== "open") channel?.post({ kind: "state", state });
      return;
    }
    if (deps.now() - heardAtMs > holderSilenceMaxMs) {
      heardAtMs = deps.now();
      void compete(true);
    }
  }, 5_000);

  if (deps.openChannel) {
    void compete(false);
    channel?.post({ kind: "hello" });
  } else {
    void hold(stop.signal);
  }

  return {
    retryNow() {
      if (holder) retry();
      else channel?.post({ kind: "retry" });
    },
    stop() {
      stopped = true;
      stop.abort();
      cancelTimer();
      sse?.stop();
      channel?.close();
    },
  };
}

/** The browser's own locks, channel and clock. One lock and channel for each stream URL. */
export function browserSharedStreamDeps(url: string): SharedStreamDeps {
  const name = `sluice:${url}`;
  const shareable = "locks" in navigator && typeof BroadcastChannel !== "undefined";
  return {
    openSse: (options) => makeSse(url, options),
    openChannel: shareable
      ? (onMessage) => {
          const channel = new BroadcastChannel(name);
          channel.onmessage = (event: MessageEvent<TabMessage>) => onMessage(event.data);
          return { post: (message) => channel.postMessage(message), close: () => channel.close() };
        }
      : undefined,
    async requestLock(steal, signal, hold) {
      const lost = new AbortController();
      const giveUp = (): void => lost.abort();
      signal.addEventListener("abort", giveUp, { once: true });
      try {
        // `steal` and `signal` exclude each other in the Web Locks API.
        await navigator.locks.request(name, steal ? { steal: true } : { signal }, () => hold(lost.signal));
      } catch (error) {
        // AbortError: we stopped, or another tab stole the lock. Anything else is a bug and should be seen.
        if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
      } finally {
        lost.abort();
        signal.removeEventListener("abort", giveUp);
      }
    },
    setTimer(run, everyMs) {
      const timer = setInterval(run, everyMs);
      return () => clearInterval(timer);
    },
    now: Date.now,
  };
}
