/**
 * Server-Sent Events over `fetch`, because `EventSource` hides what a page left open for days needs: comments (the only
 * sign of life of a quiet stream), the status of a refusal (401 is not an outage), and a `Last-Event-ID` that
 * survives our own reconnects and a change of the tab that holds the stream.
 */
export interface SseMessage {
  /** `message` unless the stream names it. */
  event: string;
  data: string;
  id: string;
}

export interface SseParser {
  /** Feed decoded text as it comes; messages are handed on when their blank line has arrived. */
  feed(text: string): void;
}

interface SseParserHandlers {
  onMessage(message: SseMessage): void;
  /** The server's `retry:`, in milliseconds. */
  onRetry?(ms: number): void;
}

/** More than this without a line end is no event stream; the connection is given up rather than memory. */
const lineCharactersMax = 8 * 1024 * 1024;

/** Source: WHATWG HTML, 9.2.6 "Interpreting an event stream". */
export function createSseParser(handlers: SseParserHandlers, lastEventId = ""): SseParser {
  let rest = "";
  let event = "";
  let data: string[] = [];
  let id = lastEventId;

  const line = (text: string): void => {
    if (text === "") {
      if (data.length > 0) handlers.onMessage({ event: event === "" ? "message" : event, data: data.join("\n"), id });
      event = "";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") data.push(value);
    else if (field === "event") event = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^\d+$/.test(value)) handlers.onRetry?.(Number(value));
  };

  return {
    feed(text) {
      const all = rest + text;
      let start = 0;
      for (;;) {
        const end = nextLineEnd(all, start);
        // A lone \r at the end of a chunk may be the first half of \r\n.
        if (end >= all.length || (all[end] === "\r" && end === all.length - 1)) break;
        line(all.slice(start, end));
        start = all[end] === "\r" && all[end + 1] === "\n" ? end + 2 : end + 1;
      }
      rest = all.slice(start);
      if (rest.length > lineCharactersMax) throw new Error("not an event stream: a line without end");
    },
  };
}

function nextLineEnd(text: string, from: number): number {
  const feed = text.indexOf("\n", from);
  const end = feed < 0 ? text.length : feed;
  const carriage = text.indexOf("\r", from);
  return carriage >= 0 && carriage < end ? carriage : end;
}

export type SseState =
  | { kind: "connecting" }
  | { kind: "open" }
  /** `retryAtMs`: when the next attempt is made, epoch milliseconds. */
  | { kind: "waiting"; attempt: number; retryAtMs: number; reason: string }
  /** The server wants a key; nothing is retried until someone signs in. */
  | { kind: "unauthenticated" };

export interface SseOptions {
  onMessage(message: SseMessage): void;
  onState(state: SseState): void;
  /** Called for every byte that arrives, comments included. */
  onAlive?(): void;
  /** Where to resume from. */
  lastEventId?: string;
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  now?: () => number;
  random?: () => number;
  /** No byte for this long: the connection is dead, whatever TCP believes. The server's heartbeat is every 5 s. */
  silenceMaxMs?: number;
  backoffMaxMs?: number;
}

export interface Sse {
  /** Drops a wait and tries now, for when the browser says that the network is back. */
  retryNow(): void;
  stop(): void;
}

/**
 * Half of the doubled base plus a random part of the same size: a thousand dashboards whose server restarts come back
 * over seconds, not at once.
 */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: () => number): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 16));
  return ceiling / 2 + (random() * ceiling) / 2;
}

/** Opens the stream and keeps it open until `stop`. */
export function makeSse(url: string, options: SseOptions): Sse {
  const doFetch = options.fetch ?? ((to: string, init: RequestInit) => fetch(to, init));
  const now = options.now ?? Date.now;
  const random = options.random ?? Math.random;
  const silenceMaxMs = options.silenceMaxMs ?? 15_000;
  const backoffMaxMs = options.backoffMaxMs ?? 8_000;
  let lastEventId = options.lastEventId ?? "";
  let baseMs = 500;
  let attempt = 0;
  let stopped = false;
  let abort: AbortController | undefined;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let watchdog: ReturnType<typeof setInterval> | undefined;

  const wait = (reason: string): void => {
    if (stopped) return;
    attempt += 1;
    const delayMs = backoffMs(attempt, baseMs, backoffMaxMs, random);
    options.onState({ kind: "waiting", attempt, retryAtMs: now() + delayMs, reason });
    retryTimer = setTimeout(() => void connect(), delayMs);
  };

  const connect = async (): Promise<void> => {
    clearTimeout(retryTimer);
    retryTimer = undefined;
    const control = new AbortController();
    abort = control;
    let aliveAtMs = now();
    watchdog = setInterval(() => {
      if (now() - aliveAtMs > silenceMaxMs) control.abort(new Error("no sign of life"));
    }, 1_000);
    if (attempt === 0) options.onState({ kind: "connecting" });
    let reason = "the server closed the stream";
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (lastEventId !== "") headers["Last-Event-ID"] = lastEventId;
      // Low: it never ends, and what draws the page should not share the line with it.
      const response = await doFetch(url, { headers, signal: control.signal, cache: "no-store", priority: "low" });
      if (response.status === 401 || response.status === 403) {
        await response.body?.cancel();
        if (!stopped) options.onState({ kind: "unauthenticated" });
        return;
      }
      if (!response.ok || !response.body) {
        await response.body?.cancel();
        throw new Error(`the server answered ${response.status}`);
      }
      const parser = createSseParser(
        {
          onMessage(message) {
            lastEventId = message.id;
            options.onMessage(message);
          },
          onRetry(ms) {
            baseMs = Math.min(Math.max(ms, 100), backoffMaxMs);
          },
        },
        lastEventId,
      );
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let opened = false;
      for (;;) {
        const { done, value } = await reader.read();
        if (done || stopped) break;
        aliveAtMs = now();
        if (!opened) {
          // Only bytes prove a stream: a proxy may send headers and then hang.
          opened = true;
          attempt = 0;
          options.onState({ kind: "open" });
        }
        options.onAlive?.();
        parser.feed(value);
      }
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    } finally {
      clearInterval(watchdog);
      control.abort();
    }
    wait(reason);
  };

  void connect();
  return {
    retryNow() {
      if (retryTimer === undefined || stopped) return;
      void connect();
    },
    stop() {
      stopped = true;
      clearTimeout(retryTimer);
      clearInterval(watchdog);
      abort?.abort();
    },
  };
}
